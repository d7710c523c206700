/**
 * What is done where QEMU cannot keep jobs until their verdict is read, or have images opened beforehand (before 3.1), and
 * which promises are weaker for that. Decided by what QEMU can do, never by its version.
 */
import { BlocksagaError } from '../errors.ts';
import type { PlanBase } from '../plan/plan.ts';
import type { Capabilities, Capability } from '../qmp/capabilities.ts';
import type { GuestDisk } from './survey.ts';

const KEEPS_JOBS: readonly Capability[] = ['query-jobs', 'auto-dismiss'];
/** To make, open and mirror to images of blocksaga's own. */
export const OPENS_IMAGES: readonly Capability[] = [
  'blockdev-add',
  'blockdev-create',
  'blockdev-mirror',
  ...KEEPS_JOBS,
];

function hasAll(capabilities: Capabilities, names: readonly Capability[]): boolean {
  return names.every(name => capabilities.has(name));
}

/** Whether blocksaga opens the images that disks are mirrored to; else QEMU does, by `drive-mirror`. */
export function opensImages(capabilities: Capabilities): boolean {
  return hasAll(capabilities, OPENS_IMAGES);
}

/** Whether jobs are there until their verdict is read. */
export function keepsJobs(capabilities: Capabilities): boolean {
  return hasAll(capabilities, KEEPS_JOBS);
}

/** Whether images can be merged by their nodes, which QEMU tells from 4.0 on; else they are by their files. */
export function knowsNodes(capabilities: Capabilities, disks: readonly GuestDisk[]): boolean {
  return (
    keepsJobs(capabilities) &&
    capabilities.has('blockdev-add') &&
    disks.every(({ chain }) => chain.every(({ node }) => node !== null))
  );
}

/** How jobs are known that QEMU forgets; nothing where `kept`. */
export function jobsVanishOnEndOf(
  capabilities: Capabilities,
  kept: boolean,
): Pick<PlanBase, 'jobsVanishOnEnd'> {
  if (kept) return {};
  return { jobsVanishOnEnd: capabilities.has('job-id') ? 'byId' : 'byDisk' };
}

/** Throws CAPABILITY_MISSING for a disk by which no job can be called. */
export function refuseUncallable(
  names: readonly string[],
  disks: readonly GuestDisk[],
  { jobsVanishOnEnd }: Pick<PlanBase, 'jobsVanishOnEnd'>,
): void {
  if (jobsVanishOnEnd !== 'byDisk') return;
  const at = disks.findIndex(({ drive }) => drive === '');
  if (at === -1) return;
  const disk = names[at] ?? '';
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk} has no drive by which a job could be called, and this QEMU gives jobs no names of their own (it lacks job-id; QEMU 2.7 has)`,
    { disk },
  );
}

const WEAKER = {
  unmarked:
    'this QEMU cannot be marked: whether the one that answers after a crash is the same is told only by the images it has open',
  passing:
    'this QEMU forgets jobs when they end: how they ended is read from the disks, and a mirror that ended unseen without a switch is rolled back',
  byDisk:
    'jobs are called by their disks: one that a third party begins there meanwhile is taken for this saga\u2019s',
  oldImage: 'what a reused image holds where its disk holds nothing may stay in it: give empty ones',
  unheld:
    'no job can be held in PENDING: when the first disk is done the saga only rolls forward, and if another fails for good its chain stays as it was until "blocksaga resume"',
  unflushed:
    'what was pulled is flushed only after the chain has changed: a QEMU that is killed right between loses it',
  makesKeys:
    'QEMU makes the keys of encrypted images by itself: the guest may be paused for some seconds for each, before anything is copied',
  noRollback:
    'once taken it cannot be rolled back while the guest runs: a failure after that ends in needsRecovery, for "blocksaga resume --offline"',
  throttled:
    'the copy is read through a throttle filter of yours: its limits hold for the guest and the copy together, also for the last bytes, in the pause',
  fillsSource:
    'the copy is read through a copy-on-read filter of yours: what it reads from the images below is written into the active one, which grows',
} as const;

/** What is weaker for mirrors that read disks through filters of the user's. */
export function readThrough(disks: readonly GuestDisk[]): {
  readonly [promise in 'throttled' | 'fillsSource']: boolean;
} {
  const passed = new Set(disks.flatMap(({ filters }) => filters.map(({ driver }) => driver)));
  return { throttled: passed.has('throttle'), fillsSource: passed.has('copy-on-read') };
}

/** The promises that are weaker, in words; nothing where none is. */
export function weakerWhere(
  which: { readonly [promise in keyof typeof WEAKER]?: boolean },
): Pick<PlanBase, 'weaker'> {
  const words = (Object.keys(WEAKER) as (keyof typeof WEAKER)[])
    .filter(name => which[name])
    .map(name => WEAKER[name]);
  return words.length === 0 ? {} : { weaker: words };
}
