/** What a torture came to, as a table of boundaries: which operation, in which state, who died, how it ended. */
import type { Row } from './torture.ts';

const OUTCOMES = [
  'committed',
  'rolledBack',
  'needsRecovery',
  'committed offline',
  'rolledBack offline',
  'untouched',
  'hung',
] as const;

/** The table, line by line. */
export function tableOf(rows: readonly Row[]): readonly string[] {
  const head = ['operation', 'died in', 'who', 'rounds', ...OUTCOMES, 'missed', 'FAILED'];
  const cells = rows.map(row => {
    const rounds = Object.values(row.outcomes).reduce((sum, each) => sum + each, 0);
    const numbers = [rounds, ...OUTCOMES.map(outcome => row.outcomes[outcome] ?? 0), row.missed, row.failed];
    return [row.operation, row.state, row.victim, ...numbers.map(each => (each === 0 ? '.' : String(each)))];
  });
  const all = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...all.map(line => line[column]?.length ?? 0)));
  return all.map(line =>
    line
      .map((cell, column) =>
        column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
