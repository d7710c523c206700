/**
 * Two tiers of tests: `npm test` plays of every table what shows each of its values, `npm run test:full` every row. What
 * is left out of the first are combinations, never a value, a law or an operation, and some tests of encrypted disks, whose
 * keys QEMU takes seconds to derive.
 */

/** True in the full tier, which `npm run test:full` asks for. */
export const isFull = process.env['BLOCKSAGA_TESTS'] === 'full';

/** The whole table in the full tier; else rows that together show every value of every column. */
export function eachValue<Row extends object>(rows: readonly Row[]): readonly Row[] {
  return isFull ? rows : covering(rows, row => valuesOf(row));
}

/** The whole table in the full tier; else rows in which any two values that ever meet do meet. */
export function eachPair<Row extends object>(rows: readonly Row[]): readonly Row[] {
  return isFull ? rows : covering(rows, row => pairsOf(valuesOf(row)));
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

function pairsOf(values: readonly string[]): readonly string[] {
  return values.flatMap((one, at) => values.slice(at + 1).map(other => `${one}, ${other}`));
}
