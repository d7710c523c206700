/** An error as it is told: what, on which disk, and QEMU's words. Pure. */
import type { ErrorRecord } from '../errors.ts';
import type { Failure } from './story.ts';

export function failureOf({ code, message, disk, cause }: ErrorRecord): Failure {
  return {
    code,
    message,
    disk: disk ?? null,
    qemu: cause === undefined ? null : { command: cause.command, desc: cause.desc },
  };
}
