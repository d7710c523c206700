/**
 * Two tiers of tests: `npm test` plays of every table what shows each of its values, `npm run test:full` every row. What
 * is left out of the first are combinations and repetitions, never a value, a law or an operation, and some tests of encrypted
 * disks, whose keys QEMU takes seconds to derive. `npm run test:tiers` shows what only the second plays.
 */

/** True in the full tier, which `npm run test:full` asks for. */
export const isFull = process.env['BLOCKSAGA_TESTS'] === 'full';

/**
 * The whole table in the full tier; else rows that together show every value of every column. A column `title` that only puts
 * into words what the others say is none.
 */
export function eachValue<Row extends object>(rows: readonly Row[], title?: keyof Row): readonly Row[] {
  return isFull
    ? rows
    : covering(rows, row => valuesOf(title === undefined ? row : { ...row, [title]: null }));
}

/**
 * For tests that are alike but for, say, the strategy: in the full tier they take every row of a table; else each takes the
 * next `count` rows in turn, so that the tests of a file show all rows together. Each file has turns of its own.
 */
export function turns(): <Row>(rows: readonly Row[], count?: number) => readonly Row[] {
  let at = 0;
  return (rows, count = 1) => {
    if (isFull) return rows;
    const taken = new Set(Array.from({ length: count }, () => at++ % rows.length));
    return rows.filter((_, index) => taken.has(index));
  };
}

/**
 * For a suite that is played once for each of several variants: whether this variant plays the next test. In the full tier it
 * plays all; else every test is played by one variant, in turn.
 */
export function share(variant: number, variants: number): () => boolean {
  let at = 0;
  return () => isFull || at++ % variants === variant;
}

/**
 * For a suite that several variants play, versions of QEMU, say: whether this one plays a test. In the full tier each that is able
 * to does; else one of them, in turn by the order in which the tests are first asked for.
 */
export function byOne<Variant>(
  variants: readonly Variant[],
): (variant: Variant, test: string, isAble?: (variant: Variant) => boolean) => boolean {
  const order = new Map<string, number>();
  return (variant, test, isAble = () => true) => {
    const able = variants.filter(isAble);
    const turn = order.get(test) ?? order.size;
    order.set(test, turn);
    return isFull ? able.includes(variant) : able[turn % able.length] === variant;
  };
}

/**
 * For tests that are alike and look at each of `count` moments, from 1 on: all in the full tier; else every `every`th, beginning
 * with the next one in each test, so that the tests of a file look at them together. No test is left without any.
 */
export function strides(every: number): (count: number) => readonly number[] {
  let at = 0;
  return count => {
    const by = isFull ? 1 : every;
    const first = isFull ? 0 : at++ % Math.min(every, count);
    return Array.from({ length: Math.ceil((count - first) / by) }, (_, index) => 1 + first + index * by);
  };
}

/** A number of repetitions, seeds or disks: the second one in the full tier. */
export function often(quick: number, full: number): number {
  return isFull ? full : quick;
}

/** Takes again and again the row that shows most of what none of those taken has shown; the same ones every time. */
export function covering<Row>(
  rows: readonly Row[],
  marksOf: (row: Row) => readonly string[],
): readonly Row[] {
  const open = new Set(rows.flatMap(marksOf));
  const taken = new Set<Row>();
  while (open.size > 0) {
    const news = (row: Row) => marksOf(row).filter(mark => open.has(mark)).length;
    const best = rows.reduce((most, row) => (news(row) > news(most) ? row : most));
    for (const mark of marksOf(best)) open.delete(mark);
    taken.add(best);
  }
  return rows.filter(row => taken.has(row));
}

function valuesOf(row: object): readonly string[] {
  return Object.entries(row).map(([column, value]) => `${column}: ${JSON.stringify(value)}`);
}
