/**
 * An order for looking at runs that are alike: those of many moments, say, which show a defect in a part of them that is not
 * known beforehand. What is far apart comes first, and in the end all have been looked at. It draws nothing.
 */
export function farApart<T>(list: readonly T[]): readonly T[] {
  const order = new Set<number>();
  for (let step = 2 ** Math.ceil(Math.log2(list.length + 1)); step >= 1; step /= 2) {
    for (let at = 0; at < list.length; at += step) order.add(at);
  }
  return [...order].flatMap(at => list.slice(at, at + 1));
}
