/**
 * Writes docs/laws.md, the laws that fuzzed sagas are held to and the table of what they do not blame a saga for, from the laws and
 * excuses themselves. Run: `npm run laws`. A test sees to it that the page is as this makes it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Excuse, keyOf } from '../src/fuzz/laws/excuse.ts';
import { EXCUSES } from '../src/fuzz/laws/excuses.ts';
import { LAWS } from '../src/fuzz/laws/laws.ts';

export const PAGE = new URL('../docs/laws.md', import.meta.url);
const KEPT = new URL('../property-tests/excused.json', import.meta.url);

const INTRO = `# Laws

Made by \`npm run laws\` from \`src/fuzz/laws\`; do not edit it.

Each run of the [fuzzer](simulator.md#fuzzing) is judged by these laws: they look at the simulated world, never at what the engine
says of it. What a law does not blame a saga for is a row of one table: a fault that has struck, or a world that the scenario has
made so, with the reason. A run that breaks the law when the row is taken away is kept for each row where one was found
(\`property-tests/excused.json\`), and a defect that the law notices for each law (\`property-tests/mutations.test.ts\`).

## Fault by law

\`x\`: the law is not held against that end. \`+200\`: so many milliseconds more are permitted. In brackets: only under a condition that
is narrower than the fault. Laws without a column excuse nothing.`;

export function lawsPage(): string {
  return `${[INTRO, matrix(), ...LAWS.map(({ name, says }, at) => sectionOf(at, name, says))].join('\n\n')}\n`;
}

/** One row for each fault and world, one column for each law that excuses something. */
function matrix(): string {
  const columns = LAWS.map(({ name }, at) => ({ name, number: at + 1 })).filter(({ name }) =>
    EXCUSES.some(({ law }) => law === name),
  );
  const cause = [...new Set(EXCUSES.map(causeOf))];
  const cellOf = (law: string, what: string) => {
    const excuse = EXCUSES.find(each => each.law === law && causeOf(each) === what);
    return excuse === undefined ? '' : markOf(excuse);
  };
  return table(
    [
      '',
      ...columns.map(
        ({ name, number }) =>
          `[${number}](#${number}-${name.replaceAll(',', '').replaceAll(' ', '-').toLowerCase()})`,
      ),
    ],
    cause.map(what => [what, ...columns.map(({ name }) => cellOf(name, what))]),
  );
}

function sectionOf(at: number, name: string, says: string): string {
  const excuses = EXCUSES.filter(({ law }) => law === name);
  const rows = excuses.map(excuse => [
    causeOf(excuse),
    markOf(excuse),
    excuse.reason,
    keptRuns().has(keyOf(excuse)) ? 'yes' : 'none found',
  ]);
  const heading = `## ${at + 1}. ${name}\n\n${says[0]?.toUpperCase()}${says.slice(1)}.`;
  return excuses.length === 0
    ? heading
    : `${heading}\n\n${table(['after', '', 'because', 'kept run'], rows)}`;
}

function causeOf(excuse: Excuse): string {
  if ('world' in excuse) return excuse.world;
  const [kind, command] = excuse.fault.split(' ');
  if (kind === 'otherClient') return `a third party’s \`${command}\``;
  return `\`${kind}\`${command === undefined ? '' : `, ${command}`}`;
}

/** A world is itself the condition. */
function markOf(excuse: Excuse): string {
  const mark = excuse.allowsMs === undefined ? 'x' : `+${excuse.allowsMs}`;
  return 'fault' in excuse && excuse.only !== undefined ? `(${mark})` : mark;
}

function keptRuns(): ReadonlySet<string> {
  return new Set(Object.keys(JSON.parse(readFileSync(KEPT, 'utf8'))));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.main) writeFileSync(PAGE, lawsPage());
