/**
 * Draws scenarios from a seed: the same seed gives the same scenario. What is drawn often is what can be reached; what is
 * forbidden is only what no program can keep a promise against. Knows nothing of what happens then.
 */
import type { Fault } from '../sim/faults.ts';
import { PROFILE_NAMES, type ProfileName } from '../sim/profiles.ts';
import { type Chance, seededChance } from '../sim/random.ts';
import { sagaToken } from '../steps/names.ts';
import {
  type GuestChoice,
  type OrchestratorDeath,
  type PlannedFault,
  SAGA,
  type Scenario,
  type SignalAt,
  type Wish,
} from './scenario.ts';

/** What a run of the fuzzer is limited to. */
export interface Limits {
  readonly operations: readonly Wish['operation'][];
  readonly profiles: readonly ProfileName[];
  readonly disksMax: number;
  readonly faultsMax: number;
}

export const ALL: Limits = {
  operations: ['snapshot', 'copy'],
  profiles: PROFILE_NAMES,
  disksMax: 8,
  faultsMax: 4,
};

/** The scenario of a seed. */
export function drawScenario(seed: number, limits: Limits = ALL): Scenario {
  const draw = drawFrom(seededChance(seed));
  const guest = drawGuest(draw, limits);
  const wish = drawWish(draw, guest, draw.one(limits.operations));
  const count = draw.few(limits.faultsMax);
  const faults = Array.from({ length: count }, () => drawFault(draw, wish));
  const signals = drawSignals(draw, wish);
  const endless = faults.some(fault => fault.kind === 'jobNeverReady');
  return {
    seed,
    guest,
    wish,
    faults,
    // A job that copies for ever is what an administrator ends.
    signals: endless ? [...signals, { signal: 'abort', atMs: 2_000 + draw.below(2_000) }] : signals,
    deaths: Array.from({ length: draw.chance(3) ? 1 + draw.few(2) : 0 }, () => drawDeath(draw, wish)),
    lingerMs: draw.one([0, 0.2, 5]),
  };
}

interface Draw {
  below(below: number): number;
  /** True once in so many times. */
  chance(oneIn: number): boolean;
  one<T>(choices: readonly T[]): T;
  /** 0 to max, small ones more often. */
  few(max: number): number;
}

function drawFrom({ below }: Chance): Draw {
  return {
    below,
    chance: oneIn => below(oneIn) === 0,
    one: choices => choices[below(choices.length)] as (typeof choices)[number],
    few: max => Math.min(below(max + 1), below(max + 1)),
  };
}

const PROFILE_WEIGHT: Partial<Record<ProfileName, number>> = {
  '5.2': 3,
  '6.1': 2,
  '7.2': 5,
  '10.0': 3,
  '11.1': 3,
};

function drawGuest(draw: Draw, limits: Limits): GuestChoice {
  const profiles = limits.profiles.flatMap(name => Array<ProfileName>(PROFILE_WEIGHT[name] ?? 1).fill(name));
  return {
    profile: draw.one(profiles),
    disks: 1 + draw.few(limits.disksMax - 1),
    style: draw.one(['blockdev', 'drive']),
    bus: draw.one(['virtio-blk', 'virtio-blk', 'scsi-hd', 'ide-hd', 'nvme']),
    iothreads: draw.chance(3),
    backingLayers: draw.few(2),
    format: draw.chance(4) ? 'raw' : 'qcow2',
    paused: draw.chance(8),
  };
}

const WITHOUT = ['blockdev-reopen', 'blockdev-create', 'transaction', 'manual-finalize', 'throttle-group'];

function drawWish(draw: Draw, guest: GuestChoice, operation: Wish['operation']): Wish {
  const all = Array.from({ length: guest.disks }, (_, index) => index);
  const some = all.filter(() => !draw.chance(4));
  const named = some.length === 0 ? all : some;
  const without = draw.chance(4) ? [draw.one(WITHOUT)] : [];
  if (operation === 'snapshot') return { operation, named, without };
  return {
    operation,
    named,
    without,
    finish: draw.one(['pivot', 'pivot', 'pivot', 'pivot', 'clone', 'abort', 'leave']),
    strategy: draw.one(['auto', 'auto', 'reopen', 'finalize', 'finalize', 'complete']),
    parallel: 1 + draw.few(3),
    shallow: draw.chance(4),
    to: draw.chance(4) ? 'raw' : 'qcow2',
    syncWrites: draw.chance(6),
  };
}

function drawSignals(draw: Draw, wish: Wish): readonly SignalAt[] {
  const at = () => draw.below(800) / 100 + (draw.chance(8) ? draw.below(400) : 0);
  const signals: SignalAt[] = [];
  if (draw.chance(5)) signals.push({ signal: 'abort', atMs: at() });
  if (wish.operation === 'copy' && wish.finish === 'leave') signals.push({ signal: 'pivot', atMs: at() });
  return signals;
}

function drawDeath(draw: Draw, wish: Wish): OrchestratorDeath {
  const aimed = !draw.chance(3);
  const from = aimed ? { from: drawState(draw, wish) } : {};
  if (draw.chance(2)) return { at: 'send', nth: 1 + draw.below(aimed ? 4 : 60), ...from };
  return { at: 'record', nth: 1 + draw.below(aimed ? 3 : 40), written: draw.chance(2), ...from };
}

/** States in which a saga of this kind sends commands, as far as it gets there. */
function drawState(draw: Draw, wish: Wish): string {
  const steps = [...STEPS.all, ...(wish.operation === 'snapshot' ? STEPS.snapshot : stepsOfCopy(wish))];
  const step = draw.one(steps);
  const isUndone = draw.chance(4) && REVERSIBLE.has(step);
  return isUndone ? `undo ${step}` : step;
}

const STEPS = {
  all: ['markQemu', 'createImages', 'pauseGuest', 'resumeGuest', 'unmarkQemu', 'stranded'],
  snapshot: ['takeSnapshot', 'takeSnapshot', 'takeSnapshotSync', 'takeSnapshotsOneByOne'],
  copy: ['mirrorDisks', 'awaitNearlyClean', 'dismissMirrors', 'retireSources', 'relenting'],
  reopen: ['settleMirrors', 'insertFilters', 'reopenFilters', 'removeFilters'],
  finalize: ['parkMirrors', 'finalizeMirrors'],
  complete: ['completeMirrors', 'completeMirrors'],
} as const;

const REVERSIBLE = new Set<string>([
  ...[
    'markQemu',
    'createImages',
    'mirrorDisks',
    'pauseGuest',
    'parkMirrors',
    'finalizeMirrors',
    'completeMirrors',
  ],
  ...['insertFilters', 'reopenFilters', 'takeSnapshot', 'takeSnapshotSync', 'takeSnapshotsOneByOne'],
]);

function stepsOfCopy({ finish, strategy }: Extract<Wish, { operation: 'copy' }>): readonly string[] {
  if (finish === 'clone') return [...STEPS.copy, 'settleMirrors', 'releaseTargets'];
  const leave = finish === 'leave' ? ['awaitSignal'] : [];
  const switches = strategy === 'auto' ? [...STEPS.reopen, ...STEPS.finalize] : STEPS[strategy];
  return [...STEPS.copy, ...leave, ...switches];
}

/** Commands that the engine sends, so that a fault may be placed at the n-th of a name. */
const COMMANDS = [
  ...[
    'query-block',
    'query-named-block-nodes',
    'query-jobs',
    'query-status',
    'qom-list',
    'object-add',
    'object-del',
  ],
  ...[
    'blockdev-create',
    'blockdev-add',
    'blockdev-del',
    'blockdev-mirror',
    'blockdev-reopen',
    'qom-set',
    'transaction',
  ],
  ...['blockdev-snapshot-sync', 'stop', 'cont', 'job-complete', 'job-finalize', 'job-cancel', 'job-dismiss'],
  ...['block-job-cancel', 'block-commit'],
];

const EVENTS = [
  'JOB_STATUS_CHANGE',
  'BLOCK_JOB_READY',
  'BLOCK_JOB_COMPLETED',
  'BLOCK_JOB_PENDING',
  'STOP',
  'RESUME',
];

/** The engine sends about so many commands per disk. */
const COMMANDS_PER_DISK = 14;
const COMMANDS_PER_SAGA = 40;

function drawFault(draw: Draw, wish: Wish): PlannedFault {
  return draw.chance(4)
    ? drawFaultAt(draw, wish, COMMANDS_PER_SAGA + COMMANDS_PER_DISK * wish.named.length)
    : { ...drawFaultAt(draw, wish, 3 + 3 * wish.named.length), from: drawState(draw, wish) };
}

/** A fault among so many commands. */
function drawFaultAt(draw: Draw, wish: Wish, commands: number): Fault {
  const disks = wish.named.length;
  const place = () =>
    draw.chance(3)
      ? { command: draw.one(COMMANDS), nth: 1 + draw.few(1 + disks) }
      : { nth: 1 + draw.below(commands) };
  const when = () => ({ when: draw.one(['before', 'after'] as const), ...place() });
  const job = () => 1 + draw.below(disks * 3);
  switch (draw.below(12)) {
    case 0:
    case 1:
      return { kind: 'refuse', ...place() };
    case 2:
      return { kind: 'replyLost', ...place() };
    case 3:
      return { kind: 'replyLate', delayMs: draw.one([1, 50, 5_000]), ...place() };
    case 4:
    case 5:
      return { kind: 'cut', effect: draw.one(['before', 'after']), ...place() };
    case 6:
      return {
        kind: 'event',
        how: draw.one(['lost', 'twice', 'late', 'swapped']),
        event: draw.one(EVENTS),
        nth: 1 + draw.below(6 * disks),
      };
    case 7:
      return { kind: 'jobFails', nth: job(), percent: draw.one([0, 50, 99, 100]) };
    case 8:
      return draw.chance(3) ? { kind: 'jobNeverReady', nth: job() } : { kind: 'pivotRefused', nth: job() };
    case 9:
      return draw.chance(2)
        ? { kind: 'diskFull', freeBytes: draw.below(1_000_000) }
        : { kind: 'guestShutdown', at: when() };
    case 10:
      return { kind: 'kill', what: draw.chance(4) ? 'host' : 'qemu', at: when() };
    default:
      return { kind: 'otherClient', at: when(), ...drawMeddling(draw, wish) };
  }
}

const OUR_STEM = `bs-${sagaToken(SAGA)}`;

/** What other clients do to a saga's things; not letting the guest run in the midst of a switch, which nobody can mend. */
function drawMeddling(draw: Draw, wish: Wish) {
  const index = draw.below(wish.named.length);
  const id = `${OUR_STEM}-${index}-mirror`;
  return draw.one([
    { execute: 'job-cancel', arguments: { id } },
    { execute: 'job-pause', arguments: { id } },
    { execute: 'job-dismiss', arguments: { id } },
    { execute: 'block-job-cancel', arguments: { device: id } },
    { execute: 'block-job-set-speed', arguments: { device: id, speed: 1_000_000 } },
    { execute: 'blockdev-del', arguments: { 'node-name': `${OUR_STEM}-${index}` } },
    { execute: 'blockdev-del', arguments: { 'node-name': `disk${index}` } },
    { execute: 'stop' },
  ]);
}
