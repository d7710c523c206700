/** Plain words for sizes, block jobs and the states of a saga. Pure; only people read these, nothing decides on them. */
import { growingSizeInWords } from '../../railway/words.ts';
import { splitKey } from '../../steps/stages.ts';

/** How far a job is: `45 % (28.8 MiB of 64.0 MiB)`. */
export function progressInWords(currentBytes: number, totalBytes: number): string {
  if (totalBytes === 0) return 'nothing to copy yet';
  return `${percentOf(currentBytes, totalBytes)} % (${growingSizeInWords(currentBytes)} of ${growingSizeInWords(totalBytes)})`;
}

/** Whole percents, 100 only when all is done. */
export function percentOf(currentBytes: number, totalBytes: number): number {
  return totalBytes === 0 ? 0 : Math.floor((currentBytes / totalBytes) * 100);
}

/** QEMU's job states (qapi/job.json) in plain words. */
const JOB_STATUS: Readonly<Record<string, string>> = {
  created: 'not yet started',
  running: 'copying',
  paused: 'paused',
  ready: 'ready, follows the guest',
  queued: 'waits for its turn',
  standby: 'ready, paused for a moment',
  waiting: 'waits for other jobs',
  pending: 'done, waits to be finalized',
  aborting: 'being cancelled',
  concluded: 'ended, waits to be dismissed',
  null: 'gone',
};

export function statusInWords(status: string): string {
  return JOB_STATUS[status] ?? status;
}

/** The parts of a saga, by the first word of its state, or by all of it. */
const PHASES: Readonly<Record<string, string>> = {
  preparing: 'preparing the new images',
  mirroring: 'copying',
  rewriting: 'merging images',
  ready: 'every mirror is ready',
  'ready.awaitConvergence': 'every mirror is ready, waiting until little is left to copy',
  snapshotting: 'taking the snapshot',
  switching: 'switching, the guest is paused',
  cleaningUp: 'cleaning up',
  keeping: 'keeping the snapshot',
  compensating: 'rolling back',
  stranded: 'stranded, resuming the guest',
  committed: 'done',
  rolledBack: 'rolled back',
  needsRecovery: 'needs recovery',
};

/** The part of the saga that a state belongs to, and its words. */
export function phaseOf(state: string): { readonly phase: string; readonly words: string } {
  const phase = state in PHASES ? state : (state.split('.')[0] ?? state);
  return { phase, words: PHASES[phase] ?? phase };
}

/** `pauseGuest` as `pause guest`, `undo.mirror.pauseGuest` as `mirror, undo: pause guest`. */
export function stepInWords(key: string): string {
  const { stage, step } = splitKey(key);
  const words = step.replace(/^undo\./, '').replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
  const undo = step.startsWith('undo.') ? 'undo: ' : '';
  return stage === null ? undo + words : `${stage}${undo === '' ? ':' : ','} ${undo}${words}`;
}

/** `1 disk`, `3 disks`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

const TIME = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

/** Milliseconds since the epoch as `2026-11-21 01:30:26Z`. */
export function timeInWords(epochMs: number): string {
  return `${TIME.format(epochMs)}Z`;
}
