/**
 * What an orchestrator's process is told, one JSON value a line on its standard input, and what it says on its standard
 * output. Types only: both sides import them.
 */
import type { SagaResult } from '../../src/index.ts';
import type { Json } from '../../src/qmp/transport.ts';
import type { FileAct } from './file-acts.ts';

/** Who is killed at a moment; with `thirdParty` nothing is, but a third party sends something. */
export type Victim = 'orchestrator' | 'qemu' | 'both' | 'thirdParty';

/** Where a saga works; the same for all orders about it. */
export interface Place {
  readonly operation: string;
  readonly id: string;
  /** The monitor's socket. */
  readonly qmp: string;
  /** The new images, by disk. */
  readonly files: readonly string[];
  /** The images in front, by disk, as they are found. */
  readonly fronts: readonly string[];
  /** The guest agent's socket. */
  readonly agent: string;
  /** The file in which a program keeps what it is told of the new disks. */
  readonly told: string;
}

/** What a third party sends right before the command at a moment, on the same monitor, so that nothing comes between; or does to a file. */
export interface Foreign {
  readonly moment: string;
  readonly act?: FileAct;
  readonly messages: readonly { readonly [name: string]: Json }[];
}

/** Run the saga, resume it, resume it to take it back, or recover it without a QEMU, and say what came of it. */
export interface Order extends Place {
  readonly order: 'run' | 'resume' | 'abort' | 'recover';
  /** For a recovery that the journal cannot decide: on which images the guest ran last, as an administrator finds out. */
  readonly front?: 'old' | 'new';
  readonly foreign?: Foreign;
  readonly strike?: {
    readonly moment: string;
    readonly delayMs: number;
    readonly victim: Victim;
    /** What an orchestrator sends itself; SIGKILL if not said. */
    readonly signal?: 'SIGSTOP';
    readonly qemuPid: number;
  };
}

/** What an orchestrator says. */
export type Saying =
  | { readonly says: 'begun' }
  /** It is about to kill a process. */
  | { readonly says: 'striking'; readonly moment: string }
  /** QEMU's answer to a third party. */
  | { readonly says: 'foreign'; readonly answer: Json }
  | {
      readonly says: 'result';
      readonly result: SagaResult;
      readonly commands: number;
      readonly moments: readonly string[];
    }
  /** Refused before anything was touched, or the saga is not known. */
  | { readonly says: 'refused'; readonly code: string; readonly message: string };
