/**
 * Notes which commands make QEMU open images by their names, and which of these names the orchestrator had looked at right in front:
 * what a third party does to a name while such a command is under way is seen by no look. It judges nothing.
 */

import type { Clock } from '../../qmp/clock.ts';
import type { Json } from '../../qmp/transport.ts';
import { DIRECTORY } from '../scenario/wish-files.ts';

/** A command by which QEMU opens files. */
export interface Opening {
  /** When it was sent; milliseconds since the epoch. */
  readonly atMs: number;
  /** The names that it says. */
  readonly names: ReadonlySet<string>;
  /** Whether it also opens images anew that QEMU has open already, each by its name: to write to them, or not to any more. */
  readonly reopens: boolean;
  /** Whether it writes to images that it opens anew. */
  readonly writesBelow: boolean;
  /** The names that were looked at when it was sent, and not before. */
  readonly looked: ReadonlySet<string>;
}

/** By raw_reconfigure_getfd() of block/file-posix.c, when a job or a snapshot changes who writes to an image. */
export const REOPENS: ReadonlySet<string> = new Set([
  ...['transaction', 'blockdev-snapshot', 'blockdev-snapshot-sync', 'blockdev-reopen'],
  ...['block-commit', 'block-stream', 'blockdev-mirror', 'drive-mirror'],
  ...['job-complete', 'job-finalize', 'job-cancel', 'block-job-complete', 'block-job-cancel'],
]);
const WRITES_BELOW: ReadonlySet<string> = new Set(['block-commit', 'block-stream']);
const NAMES = new RegExp(`"(${DIRECTORY}/[^"]+)"`, 'g');
const NONE: ReadonlySet<string> = new Set();

/** Most of what is sent are queries, which name no file: they are not searched. */
function namesIn(said: string): ReadonlySet<string> {
  if (!said.includes(DIRECTORY)) return NONE;
  return new Set(Array.from(said.matchAll(NAMES), ([, name = '']) => name));
}

export class NameWatch {
  readonly openings: Opening[] = [];
  readonly #looks = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  looked(path: string): void {
    this.#looks.set(path, this.#clock.epochMs());
  }

  sent(messages: readonly Json[]): void {
    const atMs = this.#clock.epochMs();
    for (const message of messages) {
      const { execute = '', arguments: given } = message as { execute?: string; arguments?: { base?: Json } };
      // The image that is committed stays open as it is; its base is opened anew, to be written to.
      const said = JSON.stringify(execute === 'block-commit' ? (given?.base ?? null) : message);
      const names = namesIn(said);
      const reopens = REOPENS.has(execute);
      if (names.size === 0 && !reopens) continue;
      const looked = new Set([...this.#looks].flatMap(([name, ms]) => (ms === atMs ? [name] : [])));
      this.openings.push({ atMs, names, reopens, writesBelow: WRITES_BELOW.has(execute), looked });
    }
  }
}
