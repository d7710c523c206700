/**
 * Draws scenarios: the same seed gives the same scenario. What is drawn often is what a saga can be begun with; refusals
 * come now and then. Knows nothing of what should happen then.
 */
import { PROFILE_NAMES, type ProfileName } from '../sim/profiles.ts';
import { type Draw, drawFrom } from './draw.ts';
import { drawTrouble } from './draw-faults.ts';
import { likelyPath } from './likely-path.ts';
import type { GuestChoice, Scenario, Wish } from './scenario.ts';

/** What scenarios are limited to. */
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
  const draw = drawFrom(seed);
  const guest = drawGuest(draw, limits);
  const wish = drawWish(draw, guest, draw.one(limits.operations));
  return {
    seed,
    guest,
    wish,
    ...drawTrouble(draw, wish, likelyPath(guest, wish), limits.faultsMax),
    lingerMs: draw.one([0, 0.2, 5]),
  };
}

/** How often a version is drawn; once where nothing is said. */
const WEIGHT: Partial<Record<ProfileName, number>> = {
  '3.1': 4,
  '5.2': 10,
  '6.1': 8,
  '7.2': 16,
  '10.0': 12,
  '11.1': 12,
};

function drawGuest(draw: Draw, limits: Limits): GuestChoice {
  const profiles = limits.profiles.flatMap(name => Array<ProfileName>(WEIGHT[name] ?? 1).fill(name));
  return {
    profile: draw.one(profiles),
    disks: 1 + draw.few(limits.disksMax - 1),
    style: draw.one(['blockdev', 'drive']),
    bus: draw.one(['virtio-blk', 'virtio-blk', 'scsi-hd', 'ide-hd', 'nvme', 'usb-storage']),
    iothreads: draw.chance(3),
    backingLayers: draw.few(2),
    format: draw.chance(4) ? 'raw' : 'qcow2',
    paused: draw.chance(8),
  };
}

function drawWish(draw: Draw, guest: GuestChoice, operation: Wish['operation']): Wish {
  const all = Array.from({ length: guest.disks }, (_, index) => index);
  const some = all.filter(() => !draw.chance(4));
  const named = some.length === 0 ? all : some;
  const isOld = ['1.0', '1.1', '1.3', '2.4', '3.1', '5.2'].includes(guest.profile);
  if (operation === 'snapshot') {
    const without = draw.chance(2) ? [draw.one(['blockdev-create', 'transaction', 'throttle-group'])] : [];
    return { operation, named, without };
  }
  const strategy = draw.one(['auto', 'auto', isOld ? 'finalize' : 'reopen', 'finalize', 'complete'] as const);
  const wanted = strategy === 'auto' && draw.chance(3);
  return {
    operation,
    named,
    without: wanted ? [draw.one(['blockdev-reopen', 'manual-finalize', 'throttle-group'])] : [],
    finish: draw.one(['pivot', 'pivot', 'pivot', 'pivot', 'clone', 'abort', 'leave']),
    strategy,
    parallel: 1 + draw.few(3),
    shallow: guest.backingLayers > 0 && draw.chance(3),
    to: draw.chance(4) ? 'raw' : 'qcow2',
    syncWrites: draw.chance(6),
  };
}
