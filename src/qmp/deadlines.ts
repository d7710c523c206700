/**
 * How long QEMU may be silent on each QMP command before its outcome counts as unknown (patience.ts says what counts).
 * Data only. The figures are patience, not performance: QEMU answers in milliseconds unless its main loop waits for storage,
 * or the machine has no processor for it.
 */

import type { QmpCommands } from './schema.generated.ts';

const DEFAULT_MS = 30_000;

/** Opens images or drains every disk first, so one slow storage request is waited for in full. */
const DRAINING_MS = 120_000;

const EXCEPTIONS: Partial<Record<keyof QmpCommands, number>> = {
  'block-commit': DRAINING_MS,
  'block-export-add': DRAINING_MS,
  'block-export-del': DRAINING_MS,
  'block-job-complete': DRAINING_MS,
  'block-job-finalize': DRAINING_MS,
  'block-stream': DRAINING_MS,
  block_resize: DRAINING_MS,
  'blockdev-add': DRAINING_MS,
  'blockdev-backup': DRAINING_MS,
  'blockdev-del': DRAINING_MS,
  'blockdev-mirror': DRAINING_MS,
  'blockdev-reopen': DRAINING_MS,
  'blockdev-snapshot': DRAINING_MS,
  'blockdev-snapshot-sync': DRAINING_MS,
  'change-backing-file': DRAINING_MS,
  'drive-mirror': DRAINING_MS,
  'human-monitor-command': DRAINING_MS,
  'job-complete': DRAINING_MS,
  'job-finalize': DRAINING_MS,
  'qom-set': DRAINING_MS,
  stop: DRAINING_MS,
  transaction: DRAINING_MS,
};

/** Milliseconds that a command gets unless its caller says otherwise. */
export function deadlineMsFor(command: keyof QmpCommands): number {
  return EXCEPTIONS[command] ?? DEFAULT_MS;
}
