/**
 * The reports of several conformance runs as one Markdown table, a column for each: what docs/simulator.md shows. It reads
 * what the runs have printed, and counts nothing itself.
 */

interface Run {
  readonly version: string;
  /** Of each command: how many comparisons agreed, and how many there were. */
  readonly rows: ReadonlyMap<string, readonly [agreed: number, all: number]>;
}

/** Markdown; throws for a text that is no report. */
export function sideBySide(reports: readonly string[]): string {
  const runs = reports.map(readReport);
  const names = [...new Set(runs.flatMap(({ rows }) => [...rows.keys()]))].sort();
  const cell = ({ rows }: Run, name: string): string => rows.get(name)?.join(' of ') ?? '';
  return [
    `| comparison | ${runs.map(({ version }) => `agreed on ${version}`).join(' | ')} |`,
    `| --- | ${runs.map(() => '---:').join(' | ')} |`,
    ...names.map(name => `| ${name} | ${runs.map(run => cell(run, name)).join(' | ')} |`),
  ].join('\n');
}

function readReport(text: string): Run {
  const version = /^seed .* QEMU ([\d.]+)/m.exec(text)?.[1];
  if (version === undefined) throw new Error('this is no report of a conformance run: it names no QEMU');
  const rows = new Map<string, readonly [number, number]>();
  for (const line of text.split('\n')) {
    const found = /^\| (.+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$/.exec(line);
    if (found === null) continue;
    const [, name = '', ...counts] = found;
    const [agreed = 0, ...others] = counts.map(Number);
    rows.set(name, [agreed, others.reduce((sum, count) => sum + count, agreed)]);
  }
  if (rows.size === 0) throw new Error(`the report of QEMU ${version} has no table: the run did not end`);
  return { version, rows };
}
