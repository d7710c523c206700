/** How far the copy of each disk is, and how fast: from what QEMU has said lately. */
import type { JobSeen, JobsSeen } from '../src/inspect/jobs-seen.ts';
import type { DiskProgress } from '../src/railway/scene-types.ts';
import { durationInWords, growingSizeInWords, sizeInWords } from '../src/railway/words.ts';
import type { Story } from '../src/story/story.ts';

/** A rate is taken over this long at most. */
const OVER_MS = 5_000;

/** The latest looks, oldest first; one more is added, those that are too old go. */
export function remembered(before: readonly JobsSeen[], seen: JobsSeen): readonly JobsSeen[] {
  return [...before.filter(({ atMs }) => atMs > seen.atMs - OVER_MS), seen];
}

export function progressOf({ disks }: Story, looks: readonly JobsSeen[]): ReadonlyMap<string, DiskProgress> {
  const told = disks.flatMap(({ disk, jobs }) => {
    const last = jobIn(looks.at(-1), jobs);
    return last === undefined ? [] : [[disk, progress(last, looks, jobs)] as const];
  });
  return new Map(told);
}

function progress(last: JobSeen, looks: readonly JobsSeen[], jobs: readonly string[]): DiskProgress {
  const { currentBytes, totalBytes, status } = last;
  const share = totalBytes === 0 ? 0 : Math.min(1, currentBytes / totalBytes);
  const amount =
    totalBytes === 0
      ? 'nothing copied yet'
      : `${Math.floor(share * 100)} % of ${growingSizeInWords(totalBytes)}`;
  if (status === 'ready') return { share, amount, pace: 'ready, follows the guest' };
  if (status !== 'running') return { share, amount, pace: status };
  const first = looks.find(look => jobIn(look, jobs) !== undefined);
  const overMs = (looks.at(-1)?.atMs ?? 0) - (first?.atMs ?? 0);
  const copied = currentBytes - (jobIn(first, jobs)?.currentBytes ?? currentBytes);
  if (overMs <= 0 || copied <= 0) return { share, amount, pace: 'copying' };
  const left = durationInWords(((totalBytes - currentBytes) / copied) * overMs);
  return { share, amount, pace: `${sizeInWords(Math.round((copied / overMs) * 1000))}/s · ${left} left` };
}

function jobIn(look: JobsSeen | undefined, jobs: readonly string[]): JobSeen | undefined {
  return look?.jobs.find(({ job }) => jobs.includes(job));
}
