/** The rounds as a table in Markdown: kinds of kills, and what became of the guests. */
import type { Round } from './round.ts';

const COLUMNS: readonly (readonly [head: string, isIn: (round: Round) => boolean])[] = [
  ['rounds', () => true],
  ['at a boundary', ({ hasStruck, moment }) => hasStruck && !/^\d+ ms/.test(moment)],
  ['all new', ({ outcome }) => outcome.startsWith('all new')],
  ['all old', ({ outcome }) => outcome.startsWith('all old')],
  ['a move, in part', ({ outcome }) => outcome.startsWith('each')],
  ['struck late or not', ({ hasStruck, isLate }) => !hasStruck || isLate],
  ['by hand', ({ byHand }) => byHand.length > 0],
  ['broken', ({ wrong }) => wrong.length > 0],
];

export function table(rounds: readonly Round[]): readonly string[] {
  const kinds = [...new Set(rounds.map(({ kind }) => kind))];
  const row = (name: string, of: readonly Round[]) =>
    `| ${[name, ...COLUMNS.map(([, isIn]) => of.filter(isIn).length)].join(' | ')} |`;
  return [
    `| killed | ${COLUMNS.map(([head]) => head).join(' | ')} |`,
    `| --- | ${COLUMNS.map(() => '---:').join(' | ')} |`,
    ...kinds.map(kind =>
      row(
        kind,
        rounds.filter(round => round.kind === kind),
      ),
    ),
    row('all', rounds),
  ];
}
