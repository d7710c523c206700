/**
 * Draws what goes wrong in a scenario: most of it where the saga will be, on the way there, on the way back, and after the
 * decision. What other clients do is limited to what a program can keep its promise against.
 */
import type { Fault } from '../sim/faults.ts';
import { diskNames, sagaToken } from '../steps/names.ts';
import type { Draw } from './draw.ts';
import { type LikelyPath, wayBackFrom } from './likely-path.ts';
import type { OrchestratorDeath, PlannedFault, SignalAt } from './scenario.ts';
import type { Wish } from './wish.ts';
import { SAGA } from './wish-request.ts';

/** What goes wrong, and what is asked meanwhile. */
export interface Trouble {
  readonly faults: readonly PlannedFault[];
  readonly signals: readonly SignalAt[];
  readonly deaths: readonly OrchestratorDeath[];
}

export function drawTrouble(draw: Draw, wish: Wish, path: LikelyPath, faultsMax: number): Trouble {
  const turn = draw.chance(3) ? draw.one(path.there) : undefined;
  const states = turn === undefined ? [...path.there, ...path.onward] : [turn, ...wayBackFrom(path, turn)];
  const turning = turn === undefined ? [] : [drawTurn(draw, turn)];
  const faults = [
    ...turning,
    ...Array.from({ length: draw.few(faultsMax) }, () => drawFault(draw, wish, states)),
  ];
  const deaths = draw.chance(3) ? 1 + draw.few(2) : 0;
  return {
    faults,
    signals: drawSignals(draw, wish, faults),
    deaths: Array.from({ length: deaths }, () => drawDeath(draw, states)),
  };
}

/** Makes the saga go back from a state. */
function drawTurn(draw: Draw, from: string): PlannedFault {
  return { kind: 'refuse', nth: 1 + draw.few(4), from };
}

function drawSignals(draw: Draw, wish: Wish, faults: readonly PlannedFault[]): readonly SignalAt[] {
  const at = () => draw.below(800) / 100 + (draw.chance(8) ? draw.below(400) : 0);
  const signals: SignalAt[] = [];
  if (draw.chance(6)) signals.push({ signal: 'abort', atMs: at() });
  if ('finish' in wish && wish.finish === 'leave') signals.push({ signal: 'pivot', atMs: at() });
  if (wish.operation === 'snapshotMirror') signals.push({ signal: draw.one(ENDS_OF_MIRRORS), atMs: at() });
  if ('parallel' in wish && draw.chance(8)) {
    signals.push({ signal: 'setSpeed', bytesPerSecond: draw.one([0, 20_000_000, 400_000_000]), atMs: at() });
  }
  // A job that copies for ever, or that somebody holds, is what an administrator ends.
  if (faults.some(holdsJob)) {
    signals.push({ signal: 'abort', atMs: 2_000 + draw.below(2_000) });
  }
  return signals;
}

const ENDS_OF_MIRRORS = ['pivot', 'pivot', 'keepSnapshot'] as const;

function holdsJob(fault: Fault): boolean {
  return fault.kind === 'jobNeverReady' || (fault.kind === 'otherClient' && fault.execute === 'job-pause');
}

const COMMANDS_IN_ALL = 90;

function drawDeath(draw: Draw, states: readonly string[]): OrchestratorDeath {
  const aimed = !draw.chance(4);
  const from = aimed ? { from: draw.one(states) } : {};
  if (draw.chance(2)) return { at: 'send', nth: 1 + (aimed ? draw.few(4) : draw.below(60)), ...from };
  return {
    at: 'record',
    nth: 1 + (aimed ? draw.few(3) : draw.below(40)),
    written: draw.chance(2),
    ...from,
  };
}

/** Commands that the engine sends, so that a fault may be placed at the n-th of a name. */
const COMMANDS = [
  ...['query-block', 'query-named-block-nodes', 'query-jobs', 'query-status', 'qom-list', 'object-add'],
  ...['object-del', 'blockdev-create', 'blockdev-add', 'blockdev-del', 'blockdev-mirror', 'blockdev-reopen'],
  ...['qom-set', 'transaction', 'blockdev-snapshot-sync', 'stop', 'cont', 'job-complete', 'job-finalize'],
  ...['job-cancel', 'job-dismiss', 'block-job-cancel', 'block-commit', 'block-stream'],
  ...['drive-mirror', 'query-block-jobs', 'block-job-complete'],
];

const EVENTS = [
  ...['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_PENDING'],
  ...['STOP', 'RESUME'],
];

function drawFault(draw: Draw, wish: Wish, states: readonly string[]): PlannedFault {
  const disks = wish.named.length;
  if (draw.chance(8)) return drawFaultAt(draw, wish, () => ({ nth: 1 + draw.below(COMMANDS_IN_ALL) }));
  if ('quiesce' in wish && wish.quiesce && draw.chance(2)) return drawAgentFault(draw);
  const place = () =>
    draw.chance(4)
      ? { command: draw.one(COMMANDS), nth: 1 + draw.few(1 + disks) }
      : { nth: 1 + draw.few(3 + disks) };
  return { ...drawFaultAt(draw, wish, place), from: draw.one(states) };
}

function isSnapshot({ operation }: Wish): boolean {
  return operation === 'snapshot' || operation === 'snapshotMirror';
}

const AGENT_COMMANDS = [
  'guest-agent-connect',
  'guest-fsfreeze-status',
  'guest-fsfreeze-freeze',
  'guest-fsfreeze-thaw',
];

/** The agent is missing, refuses half-way, or its line breaks. */
function drawAgentFault(draw: Draw): Fault {
  const place = { command: draw.one(AGENT_COMMANDS), nth: 1 + draw.few(3) };
  switch (draw.below(4)) {
    case 0:
      return { kind: 'refuse', ...place };
    case 1:
      return { kind: 'replyLost', ...place };
    case 2:
      return { kind: 'replyLate', delayMs: draw.one([50, 30_000]), ...place };
    default:
      return { kind: 'cut', effect: draw.one(['before', 'after']), ...place };
  }
}

type DrawPlace = () => { readonly command?: string; readonly nth: number };

function drawFaultAt(draw: Draw, wish: Wish, place: DrawPlace): Fault {
  const disks = wish.named.length;
  const when = () => ({ when: draw.one(['before', 'after'] as const), ...place() });
  const job = () => 1 + draw.below(disks * 3);
  switch (draw.below(14)) {
    case 0:
    case 1:
    case 2:
      return { kind: 'refuse', ...place() };
    case 3:
      return { kind: 'replyLost', ...place() };
    case 4:
      return { kind: 'replyLate', delayMs: draw.one([1, 50, 5_000]), ...place() };
    case 5:
    case 6:
    case 7:
      return { kind: 'cut', effect: draw.one(['before', 'after']), ...place() };
    case 8:
      return {
        kind: 'event',
        how: draw.one(['lost', 'twice', 'late', 'swapped']),
        event: draw.one(EVENTS),
        nth: 1 + draw.below(2 * disks),
      };
    case 9:
      return { kind: 'jobFails', nth: job(), percent: draw.one([0, 50, 99, 100]) };
    case 10:
      // Among the jobs of a snapshot are those that take it back, and for them it waits an hour.
      return draw.chance(3) && !isSnapshot(wish)
        ? { kind: 'jobNeverReady', nth: job() }
        : { kind: 'pivotRefused', nth: job() };
    case 11:
      return draw.chance(2)
        ? { kind: 'diskFull', freeBytes: draw.below(1_000_000) }
        : { kind: 'guestShutdown', at: when() };
    case 12:
      return { kind: 'kill', what: draw.chance(4) ? 'host' : 'qemu', at: when() };
    default:
      return { kind: 'otherClient', at: when(), ...drawMeddling(draw, wish) };
  }
}

/** What other clients do: steal, cancel and dismiss jobs, take nodes, resize and export disks, stop and continue the guest. */
function drawMeddling(draw: Draw, wish: Wish) {
  const index = draw.below(wish.named.length);
  const mark = wish.operation === 'snapshotMirror' && !draw.chance(4) ? 'm' : '';
  const names = diskNames(sagaToken(SAGA), index, mark);
  const id = names.job;
  const disk = `disk${index}`;
  return draw.one([
    { execute: 'job-cancel', arguments: { id } },
    { execute: 'job-pause', arguments: { id } },
    { execute: 'job-dismiss', arguments: { id } },
    { execute: 'block-job-cancel', arguments: { device: id } },
    { execute: 'block-job-set-speed', arguments: { device: id, speed: 1_000_000 } },
    { execute: 'blockdev-del', arguments: { 'node-name': names.image } },
    { execute: 'blockdev-del', arguments: { 'node-name': disk } },
    { execute: 'block_resize', arguments: { 'node-name': disk, size: 134_217_728 } },
    { execute: 'nbd-server-start', arguments: NBD_SERVER },
    { execute: 'block-export-add', arguments: { type: 'nbd', id: 'theirs', 'node-name': disk } },
    {
      execute: 'block-export-add',
      arguments: { type: 'nbd', id: 'theirs', 'node-name': names.image },
    },
    { execute: 'stop' },
    { execute: 'cont' },
    { execute: 'cont' },
    { execute: 'system_reset' },
  ]);
}

const NBD_SERVER = { addr: { type: 'unix', data: { path: '/run/nbd.sock' } } } as const;
