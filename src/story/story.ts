/**
 * What is told of one saga: its line of steps as its chart has them, everything that ran and when, its disks, and what to do
 * next. Plain JSON, so that a page can draw any moment of it without the engine. Types only.
 */

/** One saga, from its beginning up to what its journal knows. */
export interface Story {
  readonly saga: string;
  readonly vm: string;
  readonly operation: string;
  /** What the whole saga does, in a sentence of its chart. */
  readonly about: string;
  readonly address: string;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly outcome: 'open' | 'committed' | 'rolledBack' | 'needsRecovery';
  /** Of a saga that is open: whether its process is alive, and whether it waits for a signal. */
  readonly isRunning: boolean;
  readonly isWaiting: boolean;
  readonly stations: readonly Station[];
  /** The station with which the decision goes, by its place in `stations`; null where nothing is decided. */
  readonly gate: number | null;
  /** In the order in which they would run. */
  readonly undos: readonly Undo[];
  readonly visits: readonly Visit[];
  readonly decisions: readonly { readonly atMs: number; readonly verdict: string }[];
  readonly signals: readonly Signal[];
  /** Each time that another process took it over. */
  readonly takeovers: readonly Takeover[];
  /** When it could neither roll forward nor back. */
  readonly strandings: readonly number[];
  readonly disks: readonly Disk[];
  /** How long the guest was held at most; null where that is not known, or it never was. */
  readonly pausedMs: number | null;
  readonly error: Failure | null;
  readonly leftovers: readonly string[];
  readonly next: readonly Advice[];
  /** What it can be asked where it is now, by the names of the signals; nothing where no process would hear it. */
  readonly asks: readonly string[];
  /** How it can be resumed where no process runs it: `resume`, or the name of a signal that it then hears at once. */
  readonly resumes: readonly string[];
}

/** A step on the line. */
export interface Station {
  /** Its state in the chart: the names of the states around it, and its own. */
  readonly path: readonly string[];
  readonly words: string;
  readonly description: string;
  /** The part of the saga that it lies in, in words. */
  readonly phase: string;
  readonly isPaused: boolean;
}

/** The undo of a step. */
export interface Undo {
  readonly words: string;
  readonly description: string;
  /** What it has done, in the past tense. */
  readonly done: string;
  /** The station that it undoes; null for a question that is asked on the line back. */
  readonly station: number | null;
}

/** One time that a state was entered. */
export interface Visit {
  /** `backingOff`: a pause that took too long was given up, and its station is tried again. */
  readonly kind: 'station' | 'undo' | 'backingOff';
  /** The place in `stations` or `undos`. */
  readonly at: number;
  readonly attempts: readonly Attempt[];
}

/** What a process did of it; more than one where it began again behind an end that was not final, or in another process. */
export interface Attempt {
  readonly beganAtMs: number;
  readonly endedAtMs: number | null;
  readonly error: Failure | null;
  /** When another process took the saga over in the middle of it: this one has no end then. */
  readonly cutAtMs: number | null;
}

/** Another process took the saga over. */
export interface Takeover {
  readonly atMs: number;
  /** How the process before had let go of it. */
  readonly after: 'died' | 'released' | 'seized' | 'needsRecovery';
  /** When that one was last known to be at work. */
  readonly seenMs: number;
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly disk: string | null;
  /** QEMU's own words. */
  readonly qemu: { readonly command: string; readonly desc: string } | null;
}

/** What to do, and the command to type where there is one. */
export interface Advice {
  readonly words: string;
  readonly command: string | null;
}

export interface Signal {
  readonly atMs: number;
  readonly words: string;
}

/** A disk and its images; the chains begin with the image at the bottom. */
export interface Disk {
  readonly disk: string;
  readonly sizeBytes: number;
  readonly before: readonly string[];
  readonly planned: readonly string[];
  /** The file of the image that was to become the active one. */
  readonly image: string;
  /** Whether the saga makes that file, and a rollback removes it. */
  readonly isMade: boolean;
  /** Whether the new image is to become the active one: not for copies that stay beside the disks. */
  readonly isSwitched: boolean;
  /** What its block jobs are called in QEMU. */
  readonly jobs: readonly string[];
  /** Its chain as QEMU told it at the end; null before that, or where QEMU could not be asked. */
  readonly after: readonly string[] | null;
}
