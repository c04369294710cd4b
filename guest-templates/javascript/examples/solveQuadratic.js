// The real roots of a x^2 + b x + c, smaller first.
const solveQuadratic = (a, b, c) => {
  if (a === 0) throw new RangeError("a must not be zero");
  const discriminant = b * b - 4 * a * c;
  if (discriminant < 0) return [];
  const root = Math.sqrt(discriminant);
  return [(-b - root) / (2 * a), (-b + root) / (2 * a)].sort((x, y) => x - y);
};
