/** Notices as a saga gives them, made from the few members that a test is about. */
import type { EnteredNotice, ProgressNotice } from '../../src/engine/running/saga-types.ts';

const BASE = { vm: 'web', atMs: 0, phase: 'mirroring', guestPaused: false, replayed: false } as const;

export function entered(saga: string, state: string): EnteredNotice {
  return { ...BASE, type: 'event', saga, event: 'entered', state };
}

type Progress = Pick<ProgressNotice, 'disk' | 'job' | 'status' | 'currentBytes' | 'totalBytes'>;

export function progressed(saga: string, progress: Progress): ProgressNotice {
  return { ...BASE, type: 'progress', saga, bytesPerSecond: null, remainingMs: null, ...progress };
}
