/** What a sequence of commands is: plain data, for real QEMUs and the simulator to answer alike in every member. */

import type { QemuVersion } from '../../scripts/qemu-versions.ts';
import type { Message } from '../sim/raw-session.ts';

/** A command, or a wait until a job is in a status or gone. `DIR` stands for the directory of the images. */
export type SequenceLine =
  | readonly [command: string, args?: Message]
  | { readonly wait: string; readonly until: string };

export interface Sequence {
  readonly title: string;
  readonly disks?: number;
  readonly backingLayers?: number;
  /** Left out of these, with the reason in src/sim/DIFFERENCES.md. */
  readonly without?: readonly QemuVersion[];
  /** Another sequence that begins with all of its lines, and plays them alone in the quick tier. */
  readonly begins?: string;
  readonly lines: readonly SequenceLine[];
}
