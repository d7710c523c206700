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

/** A law of the fuzzer: green, or what broke it. */
interface Light {
  readonly law: string;
  readonly says: string;
  readonly breach: string | null;
}

export interface LabRun {
  /** Null where the request was refused before anything was touched; `refusal` says why. */
  readonly story: Story | null;
  readonly refusal: string | null;
  readonly lights: readonly Light[];
  /** What struck, and what became of processes, in words. */
  readonly happened: readonly string[];
}
