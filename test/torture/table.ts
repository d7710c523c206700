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
    const numbers = [
      roundsIn(row),
      ...OUTCOMES.map(outcome => row.outcomes[outcome] ?? 0),
      row.missed,
      row.failed,
    ];
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

interface Line {
  readonly operation: string;
  readonly states: readonly string[];
  readonly rounds: number;
  readonly cells: string;
}

/**
 * The boundaries in Markdown: how a saga ended by who had died there, and how often if not once. Boundaries of an operation
 * that follow one another and ended alike share a line.
 */
export function matrixOf(rows: readonly Row[]): readonly string[] {
  const lines = [...Map.groupBy(rows, ({ operation, state }) => `${operation} ${state}`).values()].map(
    lineOf,
  );
  const together: Line[] = [];
  for (const line of lines) {
    const last = together.at(-1);
    if (last?.operation !== line.operation || last.cells !== line.cells) together.push(line);
    else together[together.length - 1] = joined(last, line);
  }
  return [
    `| operation | on entering | rounds | ${VICTIMS.map(victim => `${victim} killed`).join(' | ')} |`,
    `| --- | --- | ---: | ${VICTIMS.map(() => '---').join(' | ')} |`,
    ...together.map(
      ({ operation, states, rounds, cells }) =>
        `| ${operation} | ${states.join(', ')} | ${rounds} | ${cells} |`,
    ),
  ];
}

function lineOf(same: readonly Row[]): Line {
  const { operation = '', state = '' } = same[0] ?? {};
  const cells = VICTIMS.map(victim => cellOf(same.find(row => row.victim === victim))).join(' | ');
  const rounds = same.reduce((sum, row) => sum + roundsIn(row), 0);
  return { operation, states: [state], rounds, cells };
}

function joined(one: Line, other: Line): Line {
  return { ...one, states: [...one.states, ...other.states], rounds: one.rounds + other.rounds };
}

function cellOf(row: Row | undefined): string {
  if (row === undefined) return '';
  const told = Object.entries(row.outcomes).map(([outcome, count]) =>
    count === 1 ? outcome : `${count} ${outcome}`,
  );
  const missed = row.missed === 0 ? [] : ['nothing died'];
  return [...told, ...missed, ...(row.failed === 0 ? [] : [`${row.failed} FAILED`])].join(', ');
}

function roundsIn({ outcomes }: Row): number {
  return Object.values(outcomes).reduce((sum, each) => sum + each, 0);
}
