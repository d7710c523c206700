/**
 * What an orchestrator's process is told, one JSON value a line on its standard input, and what it says on its standard
 * output. Types only: both sides import them.
 */
import type { SagaResult } from '../../src/index.ts';

/** Who is killed at a moment. */
export type Victim = 'orchestrator' | 'qemu' | 'both';

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

/** Run the saga, go on with it, or recover it without a QEMU, and say what came of it. */
export interface Order extends Place {
  readonly order: 'run' | 'resume' | 'recover';
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
  /** It is about to kill somebody. */
  | { readonly says: 'striking'; readonly moment: string }
  | {
      readonly says: 'result';
      readonly result: SagaResult;
      readonly commands: number;
      readonly moments: readonly string[];
    }
  /** Refused before anything was touched, or the saga is not known. */
  | { readonly says: 'refused'; readonly code: string; readonly message: string };
