/** What a torture came to, as tables: which operation, in which state, who died, how it ended. */
import { VICTIMS } from './rounds.ts';
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

/** One line for each operation and state, in Markdown: how it ended by who had died there, and how often if not once. */
export function matrixOf(rows: readonly Row[]): readonly string[] {
  const lines = Map.groupBy(rows, ({ operation, state }) => `| ${operation} | ${state} |`);
  const cell = (row: Row | undefined): string => {
    if (row === undefined) return '';
    const told = Object.entries(row.outcomes).map(([outcome, count]) =>
      count === 1 ? outcome : `${count} ${outcome}`,
    );
    const missed = row.missed === 0 ? [] : ['nobody died'];
    return [...told, ...missed, ...(row.failed === 0 ? [] : [`${row.failed} FAILED`])].join(', ');
  };
  return [
    `| operation | on entering | ${VICTIMS.map(victim => `${victim} killed`).join(' | ')} |`,
    `| --- | --- | ${VICTIMS.map(() => '---').join(' | ')} |`,
    ...[...lines].map(([head, same]) => {
      const cells = VICTIMS.map(victim => cell(same.find(row => row.victim === victim)));
      return `${head} ${cells.join(' | ')} |`;
    }),
  ];
}
