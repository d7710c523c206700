/**
 * The agent in a simulated guest, as a client of qemu-ga sees it: freeze, thaw, status. While it is frozen the guest
 * writes nothing; while it is paused the agent does not answer. The faults of commands strike at its calls too, by the
 * names of the agent's commands and `guest-agent-connect`. A freeze that is refused has frozen something all the same.
 */
import { BlocksagaError } from '../../errors.ts';
import { type Clock, sleep } from '../../qmp/clock.ts';
import type { GuestAgent } from '../../qmp/guest-agent.ts';
import type { Faults } from './faults.ts';

/** File systems that a freeze freezes. */
const FILE_SYSTEMS = 2;
const STATUS_DEADLINE_MS = 5_000;
const CALL_MS = 0.3;

export interface SimulatedAgent {
  connect(): Promise<GuestAgent>;
  isFrozen(): boolean;
  /** A guest that starts anew is not frozen. */
  reset(): void;
}

interface Parts {
  readonly clock: Clock;
  readonly faults: Faults;
  /** Whether the guest runs; undefined when its QEMU is gone. */
  readonly running: () => boolean | undefined;
  /** Settles the guest's past, before what it may do changes. */
  readonly settle: () => void;
}

export function createAgent({ clock, faults, running, settle }: Parts): SimulatedAgent {
  let frozen = false;

  async function call<T>(command: string, deadlineMs: number, act: () => T): Promise<T> {
    if (running() === undefined) throw disconnected('notApplied');
    faults.countCommand(command);
    const cut = faults.atCommand('cut', command);
    if (cut?.effect === 'before') throw disconnected('notApplied');
    if (running() !== true) throw await late(command, deadlineMs, 'notApplied');
    const refused = faults.atCommand('refuse', command);
    const value = refused === undefined || command === 'guest-fsfreeze-freeze' ? act() : undefined;
    if (cut !== undefined) throw disconnected('unknown');
    if (faults.atCommand('replyLost', command) !== undefined)
      throw await late(command, deadlineMs, 'unknown');
    const delayMs = faults.atCommand('replyLate', command)?.delayMs ?? 0;
    if (delayMs >= deadlineMs) throw await late(command, deadlineMs, 'unknown');
    await sleep(clock, CALL_MS + delayMs);
    if (refused !== undefined || value === undefined) throw refusal(command);
    return value;
  }

  async function late(
    command: string,
    deadlineMs: number,
    effect: 'unknown' | 'notApplied',
  ): Promise<BlocksagaError> {
    await sleep(clock, deadlineMs);
    return new BlocksagaError('QMP_TIMEOUT', `the simulated agent did not answer ${command}`, { effect });
  }

  function setFrozen(value: boolean): number {
    settle();
    const changed = frozen === value ? 0 : FILE_SYSTEMS;
    frozen = value;
    return changed;
  }

  return {
    isFrozen: () => frozen,
    reset() {
      frozen = false;
    },
    async connect() {
      faults.countCommand('guest-agent-connect');
      const fault =
        faults.atCommand('refuse', 'guest-agent-connect') ?? faults.atCommand('cut', 'guest-agent-connect');
      if (fault !== undefined || running() === undefined) {
        throw new BlocksagaError('QMP_CONNECT', 'no process listens where the simulated agent should be');
      }
      return {
        freeze: deadlineMs =>
          call('guest-fsfreeze-freeze', deadlineMs, () => (frozen ? undefined : setFrozen(true))).then(
            count => asFrozen(count),
          ),
        thaw: deadlineMs => call('guest-fsfreeze-thaw', deadlineMs, () => setFrozen(false)),
        status: () => call('guest-fsfreeze-status', STATUS_DEADLINE_MS, () => (frozen ? 'frozen' : 'thawed')),
        close: () => undefined,
      };
    },
  };
}

function asFrozen(count: number | undefined): number {
  if (count === undefined) throw refusal('guest-fsfreeze-freeze');
  return count;
}

function disconnected(effect: 'unknown' | 'notApplied'): BlocksagaError {
  return new BlocksagaError('QMP_DISCONNECTED', 'the connection to the simulated agent broke', { effect });
}

function refusal(command: string): BlocksagaError {
  const qmp = { command, class: 'GenericError', desc: 'Simulated refusal' };
  return new BlocksagaError('QMP_COMMAND', `the simulated agent refused ${command}`, { qmp });
}
