/**
 * An order for looking at runs that differ in their moment: a defect that shows in a few of them is looked for where it was seen
 * last, and around it, before all others. In the end all have been looked at.
 */
export function nearestFirst<T>(
  runs: readonly T[],
  momentOf: (run: T) => number | null,
  seenAt: number,
): readonly T[] {
  const distance = (run: T) => Math.abs((momentOf(run) ?? 0) - seenAt);
  return runs.toSorted((one, other) => distance(one) - distance(other));
}
