/** Waits for several delays at once, and says how long that took on the function's clock. */
export default async function gather(delays) {
  const started = Date.now();
  const waited = await Promise.all(delays.map(async (delay) => {
    await new Promise((resolve) => setTimeout(resolve, delay));
    return delay;
  }));
  return { waited, elapsed: Date.now() - started };
}
