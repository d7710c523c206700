/** What `stall.ts` found, as a table or as JSON: medians, extremes and ratios. It measures nothing but the machine. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/qmp/clock.ts';

/** `bareInPause` does within the pause what `bare` does before and after it; `beside` is another build of blocksaga. */
export const SIDES = ['blocksaga', 'bare', 'bareInPause', 'beside'] as const;
export type Side = (typeof SIDES)[number];

/** One run; milliseconds. */
export interface Sample {
  /** How long the caller waited. */
  readonly wallMs: number;
  /** The longest gap between two writes that the guest saw acknowledged, around the change itself. */
  readonly gapMs: number;
  /** The same from the start of the request on; null for a switch, whose preparation is the copying. */
  readonly gapWithPreparationMs: number | null;
  /** QEMU's event STOP to its event RESUME; null when the guest was not stopped. */
  readonly pausedMs: number | null;
}

/** One operation on one guest; the samples of both sides were taken in turn. */
export interface Comparison {
  readonly operation: string;
  readonly disks: number;
  readonly blocksaga: readonly Sample[];
  readonly bare: readonly Sample[];
  readonly bareInPause: readonly Sample[];
  readonly beside: readonly Sample[];
  /** The longest gap in a stretch in which no command was sent; one per round. */
  readonly quietGapMs: readonly number[];
}

export interface Report {
  readonly comparisons: readonly Comparison[];
  readonly rounds: number;
  /** Whether the bare client had QEMU read on while it carried out a command. */
  readonly oob: boolean;
  readonly qemuVersion: string;
}

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

interface Line {
  readonly operation: string;
  readonly disks: number;
  readonly measure: string;
  readonly blocksaga: Spread;
  readonly bare: Spread;
  readonly ratio: number;
  /** Where there is one; and what blocksaga takes of it. */
  readonly bareInPause: Spread | null;
  readonly ofInPause: number | null;
  readonly beside: Spread | null;
  readonly ofBeside: number | null;
}

const PAUSED = 'paused, STOP to RESUME';

const MEASURES: readonly (readonly [string, (sample: Sample) => number | null])[] = [
  [PAUSED, sample => sample.pausedMs],
  ['longest gap in guest writes', sample => sample.gapMs],
  ['the same, with preparation', sample => sample.gapWithPreparationMs],
  ['wall time', sample => sample.wallMs],
];

const SYNCS = 50;
const TMPFS_MAGIC = 0x01021994;
const GIB = 1024 ** 3;

/** Prints the table to standard output, or everything as one JSON document. */
export function printReport(report: Report, json: boolean): void {
  const lines = report.comparisons.flatMap(linesOf);
  const machine = describeMachine(report.qemuVersion);
  if (json) {
    console.log(JSON.stringify({ ...report, machine, lines }));
    return;
  }
  const quiet = new Map(report.comparisons.map(({ disks, quietGapMs }) => [disks, spread(quietGapMs)]));
  const quietText = [...quiet].map(([disks, gap]) => `${show(gap)} with ${disks} disks`).join(', ');
  console.log(`${machine.text}
All sides in turn on the same guest, ${report.rounds} rounds each; milliseconds, median (min-max). The figures come from a
shared machine: only the ratios within one run say anything. The bare client's session is ${report.oob ? 'one with `oob`, as that of blocksaga' : 'plain, without `oob`'}.
A gap in guest writes cannot be seen finer than the guest writes: left alone for a moment, its longest gap was
${quietText}.
One write and fdatasync where the journal is takes ${show(machine.fdatasyncMs)}${machine.tmpfs ? '; it is a tmpfs, so durability costs nothing here' : ''}.

${table(lines)}
${lines
  .filter(({ measure }) => measure === PAUSED)
  .flatMap(pauseInWords)
  .join('\n')}`);
}

/** By medians, and by the longest of each side. */
function pauseInWords({ operation, disks, blocksaga, ...sides }: Line): readonly string[] {
  const times = (side: Spread, of: string) =>
    `${(blocksaga.median / side.median).toFixed(2)} times that of ${of} (longest: ${(blocksaga.max / side.max).toFixed(2)})`;
  const { bare, bareInPause, beside } = sides;
  if (Number.isNaN(blocksaga.median) || Number.isNaN(bare.median)) return [];
  const compared = [
    times(bare, 'the bare commands'),
    ...(bareInPause === null ? [] : [times(bareInPause, 'those with filters in the pause')]),
    ...(beside === null ? [] : [times(beside, 'the other build')]),
  ];
  return [`The pause of ${operation}, ${disks} disks, is ${compared.join(', ')}.`];
}

function linesOf({ operation, disks, ...samples }: Comparison): readonly Line[] {
  return MEASURES.flatMap(([measure, read]) => {
    const ours = samples.blocksaga.map(read).filter(value => value !== null);
    const limit = samples.bare.map(read).filter(value => value !== null);
    if (ours.length === 0 && limit.length === 0) return [];
    const [blocksaga, bare] = [spread(ours), spread(limit)];
    const other = (side: 'bareInPause' | 'beside') => {
      const values = samples[side].map(read).filter(value => value !== null);
      return values.length === 0 ? null : spread(values);
    };
    const [bareInPause, beside] = [other('bareInPause'), other('beside')];
    const of = (side: Spread | null) => (side === null ? null : blocksaga.median / side.median);
    return [
      {
        ...{ operation, disks, measure, blocksaga, bare, ratio: blocksaga.median / bare.median },
        ...{ bareInPause, ofInPause: of(bareInPause), beside, ofBeside: of(beside) },
      },
    ];
  });
}

function table(lines: readonly Line[]): string {
  const rows = lines.map(line => [
    line.operation,
    String(line.disks),
    line.measure,
    show(line.blocksaga),
    show(line.bare),
    line.ratio.toFixed(2),
    ...besides(line.bareInPause, line.ofInPause),
    ...besides(line.beside, line.ofBeside),
  ]);
  const head = [
    ...['operation', 'disks', 'what', 'blocksaga', 'bare client', 'ratio'],
    ...['bare, filters in the pause', 'ratio', 'other build', 'ratio'],
  ];
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map(row => row[at]?.length ?? 0)));
  const print = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [print(head), print(widths.map(width => '-'.repeat(width))), ...rows.map(print)].join('\n');
}

function besides(side: Spread | null, ratio: number | null): readonly string[] {
  return side === null || ratio === null ? ['', ''] : [show(side), ratio.toFixed(2)];
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

function show({ median, min, max }: Spread): string {
  return `${ms(median)} (${ms(min)}-${ms(max)})`;
}

function ms(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

/** What kind of machine this is, and what one durable write costs on it. */
function describeMachine(qemuVersion: string) {
  const directory = mkdtempSync(join(tmpdir(), 'blocksaga-bench-'));
  const file = openSync(join(directory, 'probe'), 'w');
  const tookMs = Array.from({ length: SYNCS }, () => {
    const beforeMs = systemClock.now();
    writeSync(file, 'x'.repeat(512));
    fdatasyncSync(file);
    return systemClock.now() - beforeMs;
  });
  closeSync(file);
  const tmpfs = statfsSync(directory).type === TMPFS_MAGIC;
  rmSync(directory, { recursive: true });
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'})`;
  const memory = `${Math.round(totalmem() / GIB)} GiB`;
  const guest = 'emulated guest (TCG, 1 vCPU) on virtio-blk, qcow2, cache=unsafe';
  return {
    text: `${cores}, ${memory}, Node ${process.versions.node}, QEMU ${qemuVersion}, ${guest}`,
    fdatasyncMs: spread(tookMs),
    tmpfs,
  };
}
