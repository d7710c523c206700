/** What the laboratory is asked and what it gives. Types and names only; also for browsers. */
import type { Story } from '../story/story.ts';

export const OPERATIONS = ['copy', 'clone', 'snapshot', 'commit', 'pull'] as const;

export const FAULT_KINDS = [
  'error',
  'lostReply',
  'cut',
  'jobError',
  'neverReady',
  'full',
  'unplug',
  'migrate',
  'cont',
  'killQemu',
  'killBlocksaga',
  'killHost',
] as const;

export interface LabChoice {
  /** The same choice with the same seed gives the same run. */
  readonly seed: number;
  readonly profile: string;
  readonly disks: number;
  /** Images below each disk. */
  readonly layers: number;
  readonly operation: (typeof OPERATIONS)[number];
  readonly faults: readonly {
    readonly kind: (typeof FAULT_KINDS)[number];
    readonly step: string;
    readonly disk: number;
    readonly percent: number;
  }[];
}

/** A law of the fuzzer: green, or what broke it; a run that is not over is not judged yet. */
interface Light {
  readonly law: string;
  readonly says: string;
  readonly breach: string | null;
  readonly isJudged: boolean;
}

export interface LabRun {
  /** Null where the request was refused before anything was touched; `refusal` says why. */
  readonly story: Story | null;
  readonly refusal: string | null;
  readonly lights: readonly Light[];
  /** What struck, and what became of processes, in words. */
  readonly happened: readonly string[];
}

/** What is done with a run that is watched: how far its virtual time moves on. */
export type Act = { readonly how: 'look' } | { readonly how: 'pause' } | Move;

export type Move =
  | { readonly how: 'command' | 'state' | 'free' }
  | { readonly how: 'until'; readonly atMs: number }
  /** Real milliseconds for one of virtual time. */
  | { readonly how: 'slow'; readonly factor: number };

/** A run at the moment to which it was let. */
export interface LiveView extends LabRun {
  readonly isOver: boolean;
  /** It moves by itself, slowly. */
  readonly isMoving: boolean;
  /** Of virtual time. */
  readonly atMs: number;
  /** How far the block jobs are, as the page shows it of a real QEMU; null when it is over. */
  readonly jobs: JobsThen | null;
}

interface JobsThen {
  readonly jobs: readonly {
    readonly job: string;
    readonly status: string;
    readonly currentBytes: number;
    readonly totalBytes: number;
  }[];
  readonly trouble: null;
  readonly atMs: number;
}

export interface LiveTold {
  readonly run: number;
  readonly view: LiveView;
}
