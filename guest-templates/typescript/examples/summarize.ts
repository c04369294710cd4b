enum Level {
  Low = "low",
  High = "high",
}

interface Reading {
  sensor: string;
  value: number;
}

interface Summary {
  mean: number;
  level: Level;
}

/** Means of the readings by sensor, and whether each is above a limit. */
export function summarize(readings: Reading[], limit: number = 10): Record<string, Summary> {
  const bySensor = new Map<string, number[]>();
  for (const { sensor, value } of readings) {
    bySensor.set(sensor, [...(bySensor.get(sensor) ?? []), value]);
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const summary = (values: number[]): Summary => ({
    mean: mean(values),
    level: mean(values) > limit ? Level.High : Level.Low,
  });
  return Object.fromEntries([...bySensor].map(([sensor, values]) => [sensor, summary(values)]));
}
