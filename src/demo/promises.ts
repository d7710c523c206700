/**
 * The promise, checked from outside: from two looks at the guest, QEMU's own events and what the images hold. Judging is
 * pure, so that each check can be seen to fail.
 */
import { type Cut, checkCut, missingWrites } from './ordered-cut.ts';
import type { DiskSight, Sight } from './sight.ts';
import type { WitnessedEvent } from './witness.ts';

/** The promises that one run can show. */
export type PromiseId = 'I1' | 'I2' | 'I3' | 'I4' | 'I5';

/** What each is called. */
export const PROMISES: Readonly<Record<PromiseId, string>> = {
  I1: 'all or none',
  I2: 'one instant',
  I3: 'nothing lost',
  I4: 'nothing left',
  I5: 'the guest runs',
};

/** One promise looked into; `what` says what was seen. */
export interface Check {
  readonly promise: PromiseId;
  readonly holds: boolean;
  readonly what: string;
}

/** I1: every disk has the image that is expected in front. */
export function checkFronts(after: Sight, expected: readonly string[], words: string): Check {
  const wrong = after.disks.find((disk, at) => disk.chain[0] !== expected[at]);
  return verdict(
    'I1',
    wrong === undefined && after.disks.length === expected.length,
    words,
    `${wrong?.device ?? 'a disk'} is on ${wrong?.chain[0] ?? 'nothing'}`,
  );
}

/** I2: a set of images is what one instant of the guest would have left. */
export function checkInstant(cut: Cut, words: string): Check {
  const { consistent, upTo, why } = checkCut(cut);
  const good = consistent && upTo > 0;
  return verdict(
    'I2',
    good,
    `${words} hold every write up to ${upTo} and none after it`,
    why ?? 'no writes at all',
  );
}

/** I3, while QEMU runs: no file that a disk stood on is gone. */
export function checkChains(before: Sight, after: Sight): Check {
  const files = new Set(before.disks.flatMap(disk => disk.chain));
  const gone = [...files].find(file => !after.files.includes(file));
  return verdict(
    'I3',
    gone === undefined,
    'every image that a disk stood on is still there',
    `${gone} is gone`,
  );
}

/** I3, at the end: the set that the guest ended on has all that it was told to be written. */
export function checkAcknowledged(cut: Cut, acknowledged: number): Check {
  const missing = missingWrites(cut, acknowledged);
  const sound = checkCut(cut);
  return verdict(
    'I3',
    missing.length === 0 && sound.consistent,
    `all ${acknowledged} writes that the guest was told were done are in the images it ended on`,
    missing.length > 0 ? `write ${missing[0]} is missing (${missing.length} in all)` : (sound.why ?? ''),
  );
}

/** I4: besides `newFiles` and the nodes in front of the disks, nothing is there that was not there before. */
export function checkNothingLeft(before: Sight, after: Sight, newFiles: readonly string[]): Check {
  const fronts = after.disks.flatMap(disk => [disk.node, `${disk.node}-file`]);
  const added = (then: readonly string[], now: readonly string[], expected: readonly string[]) =>
    now.filter(each => !then.includes(each) && !expected.includes(each));
  const left = [
    ...after.jobs.map(job => `job ${job}`),
    ...added(before.nodes, after.nodes, fronts).map(node => `node ${node}`),
    ...added(before.objects, after.objects, []).map(object => `object ${object}`),
    ...(after.bitmaps > before.bitmaps ? ['a dirty bitmap'] : []),
    ...added(before.files, after.files, newFiles),
    ...newFiles.filter(file => !after.files.includes(file)).map(file => `${file}, which is missing`),
  ];
  const named = newFiles.length === 0 ? '' : ' besides the new images';
  return verdict(
    'I4',
    left.length === 0,
    `no job, node, object, bitmap or file is left${named}`,
    left.join(', '),
  );
}

/** I5: the guest runs, has written since, and was never paused for longer than permitted. */
export function checkRuns(after: Sight, written: number, pausesMs: readonly number[], maxMs: number): Check {
  const longest = Math.max(0, ...pausesMs);
  const pause =
    pausesMs.length === 0 ? 'QEMU never paused it' : `QEMU paused it for ${longest.toFixed(1)} ms at most`;
  const why = [
    after.running ? '' : 'QEMU says that it does not run',
    written > 0 ? '' : 'it has written nothing since',
    longest <= maxMs ? '' : `it was paused for ${longest.toFixed(1)} ms, more than ${maxMs}`,
  ];
  return verdict(
    'I5',
    why.every(each => each === ''),
    `the guest runs and has written ${written} times since; ${pause}`,
    why.filter(each => each !== '').join(', '),
  );
}

/** The pauses in a list of events, from STOP to RESUME, in milliseconds by QEMU's clock. */
export function pausesIn(events: readonly WitnessedEvent[]): readonly number[] {
  const pauses: number[] = [];
  let stopped: number | undefined;
  for (const { event, timestamp } of events) {
    const atMs = timestamp.seconds * 1000 + timestamp.microseconds / 1000;
    if (event === 'STOP') stopped = atMs;
    if (event !== 'RESUME' || stopped === undefined) continue;
    pauses.push(atMs - stopped);
    stopped = undefined;
  }
  return stopped === undefined ? pauses : [...pauses, Number.POSITIVE_INFINITY];
}

/** The chain of a disk in one line, front first. */
export function chainLine(disk: DiskSight): string {
  return disk.chain.map(file => file.slice(file.lastIndexOf('/') + 1)).join(' -> ');
}

function verdict(promise: PromiseId, holds: boolean, good: string, bad: string): Check {
  return { promise, holds, what: holds ? good : `${bad} (expected: ${good})` };
}
