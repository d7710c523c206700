/** What a guest's run state and an outgoing migration may be. Types only. */

/** `RunState` (qapi/run-state.json). */
export type RunState =
  | 'running'
  | 'paused'
  | 'prelaunch'
  | 'io-error'
  | 'shutdown'
  | 'suspended'
  | 'guest-panicked'
  | 'watchdog'
  | 'internal-error'
  | 'inmigrate'
  | 'finish-migrate'
  | 'postmigrate'
  | 'save-vm'
  | 'restore-vm'
  | 'colo'
  | 'debug';

/** The last outgoing migration. */
export interface Migration {
  readonly status: 'none' | 'setup' | 'active' | 'device' | 'completed' | 'cancelling' | 'cancelled';
  readonly serial: number;
  /** The run state that it found when it began, or when it stopped the guest for its end. */
  readonly cameFrom: RunState;
}
