/**
 * Draws scenarios: the same seed gives the same scenario. What is drawn often is what a saga can be begun with; refusals
 * come now and then. Knows nothing of what should happen then.
 */
import type { FilterDriver } from '../../sim/boot.ts';
import { PROFILE_NAMES, type ProfileName } from '../../sim/state/profiles.ts';
import { type Draw, drawFrom } from '../scenario/draw.ts';
import type { GuestChoice, Pace, Scenario } from '../scenario/scenario.ts';
import { forgetsJobs, isSince } from '../scenario/since.ts';
import { isMerge, type Wish } from '../scenario/wish.ts';
import type { LiveWish } from '../scenario/wish-request.ts';
import { drawTrouble } from './draw-faults.ts';
import { drawOfflineTrouble } from './draw-offline.ts';
import { DRAWN_SINCE, drawWish, GUEST_FOR } from './draw-wish.ts';
import { drawWorld } from './draw-world.ts';
import { likelyPath } from './likely-path.ts';
import { drawSwarm } from './swarm.ts';

/** What scenarios are limited to. */
export interface Limits {
  readonly operations: readonly Wish['operation'][];
  readonly profiles: readonly ProfileName[];
  readonly disksMax: number;
  /** Guests have exactly so many disks. */
  readonly disks?: number;
  readonly faultsMax: number;
  /** Third parties also send what the engine is known not to survive. */
  readonly held: boolean;
}

export const ALL: Limits = {
  operations: ['snapshot', 'copy', 'pull', 'commit', 'revert', 'snapshotMirror', 'commitOffline'],
  profiles: PROFILE_NAMES,
  disksMax: 8,
  faultsMax: 4,
  held: false,
};

/** The scenario of a seed. */
export function drawScenario(seed: number, limits: Limits = ALL): Scenario {
  return composeScenario(drawFrom(seed), seed, limits);
}

/** A scenario by any kind of drawing; `seed` is the simulator's. */
export function composeScenario(source: Draw, seed: number, limits: Limits): Scenario {
  const scenario = composeForGuest(source, seed, limits);
  const { guest, wish } = scenario;
  // Drawn last, so that a seed's other draws stay what they are.
  const isDaemon = isServedByDaemon(guest, wish) && source.chance(DAEMON_ONE_IN);
  return isDaemon ? { ...scenario, guest: { ...guest, storageDaemon: true } } : scenario;
}

const DAEMON_ONE_IN = 5;

/** What a storage daemon can be asked for. */
export function isServedByDaemon({ profile, style, paused, iothreads }: GuestChoice, wish: Wish): boolean {
  if (!isSince(profile, '6.1') || style !== 'blockdev' || paused) return false;
  if (wish.operation === 'snapshot') return wish.quiesce !== true && !wish.without.includes('transaction');
  if (wish.operation === 'pull') return isSince(profile, '10.0') && !iothreads;
  return wish.operation === 'commit' && wish.top > 0;
}

function composeForGuest(source: Draw, seed: number, limits: Limits): Scenario {
  const off = drawSwarm(source, limits.operations);
  const draw = source.without(off);
  const operation = draw.one(limits.operations.filter(draw.isOn));
  const drawn = drawGuest(draw, limits, operation);
  const chained = GUEST_FOR[operation]?.(draw, drawn) ?? drawn;
  const guest = { ...chained, ...drawFilters(draw, chained) };
  const wish = drawWish(draw, guest, operation);
  const scenario: Scenario = {
    seed,
    ...(off.length === 0 ? {} : { off }),
    guest,
    pace: draw.option('pace', 2) ? drawPace(draw) : STEADY,
    wish,
    ...(wish.operation === 'commitOffline'
      ? drawOfflineTrouble(draw, wish, limits.faultsMax)
      : {
          ...drawLiveTrouble(draw, guest, wish, limits),
          ...(draw.option('publisher', 4)
            ? { publisher: { refusals: draw.chance(4) ? 12 : draw.few(3) } }
            : {}),
          ...(draw.option('offlineDeath', 3) ? { offlineDeath: 1 + draw.few(3) } : {}),
        }),
    lingerMs: draw.one([0, 0.2, 5]),
    ...(draw.option('squatter', 3) && wish.operation !== 'commitOffline' ? { squatter: true } : {}),
    ...(wish.operation === 'commitOffline' ? {} : drawWorld(draw, limits.held)),
  };
  return { ...scenario, guest: { ...guest, ...drawEncryption(draw, guest, wish) } };
}

function drawLiveTrouble(draw: Draw, guest: GuestChoice, wish: LiveWish, { faultsMax, held }: Limits) {
  const { faults, ...trouble } = drawTrouble(draw, { wish, guest, held }, likelyPath(guest, wish), faultsMax);
  // After the decision of a merge an abort does not end one that hangs: behind the first where jobs cannot be held in
  // PENDING, or begun again where a third party has cancelled it; nor where one has finalized another, which decides.
  const decidesEarly = faults.some(each => each.kind === 'otherClient' && each.execute === 'job-finalize');
  const endable = !isMerge(wish)
    ? Number.POSITIVE_INFINITY
    : forgetsJobs(guest) || decidesEarly
      ? 0
      : wish.named.length;
  return {
    ...trouble,
    faults: faults.filter(fault => fault.kind !== 'jobNeverReady' || fault.nth <= endable),
  };
}

/** How often a version is drawn; once where nothing is said. */
const WEIGHT: Partial<Record<ProfileName, number>> = {
  '1.3': 2,
  '2.4': 4,
  '2.12': 4,
  '3.1': 4,
  '5.2': 10,
  '6.1': 8,
  '7.2': 16,
  '10.0': 12,
  '11.1': 12,
};

function drawGuest(draw: Draw, limits: Limits, operation: Wish['operation']): GuestChoice {
  const able = limits.profiles.filter(name => isSince(name, DRAWN_SINCE[operation]));
  const profiles = (able.length > 0 ? able : limits.profiles).flatMap(name =>
    Array<ProfileName>(WEIGHT[name] ?? 1).fill(name),
  );
  return {
    profile: draw.one(profiles),
    disks: limits.disks ?? 1 + draw.few(limits.disksMax - 1),
    style: draw.one(['blockdev', 'drive']),
    bus: draw.one(['virtio-blk', 'virtio-blk', 'scsi-hd', 'ide-hd', 'nvme', 'usb-storage']),
    iothreads: draw.option('iothreads', 3),
    backingLayers: draw.few(2),
    format: draw.option('raw', 4) ? 'raw' : 'qcow2',
    paused: draw.option('paused', 8),
  };
}

/** Filters above some disks, on the versions that work through them. */
function drawFilters(draw: Draw, { profile, style, disks }: GuestChoice): Partial<GuestChoice> {
  if (!draw.option('filters', 4) || style !== 'blockdev' || !isSince(profile, '3.1')) return {};
  const filtered = Array.from({ length: disks }, (_, index) => index).filter(() => !draw.chance(4));
  return {
    filters: draw.one(FILTERS),
    filtered: filtered.length === 0 ? [0] : filtered,
    ...(draw.chance(3) ? { inline: true } : {}),
  };
}

/** Images that are encrypted, on the versions that make such, for what is not refused of them. */
function drawEncryption(draw: Draw, { profile, format }: GuestChoice, wish: Wish): Partial<GuestChoice> {
  const isAble = format === 'qcow2' && isSince(profile, '3.1');
  const keeps = wish.operation !== 'copy' || wish.to === 'qcow2';
  const making = ['blockdev-create', 'transaction', 'blockdev-snapshot'];
  return draw.chance(6) && isAble && keeps && !wish.without.some(lack => making.includes(lack))
    ? { encrypted: true }
    : {};
}

const FILTERS: readonly (readonly FilterDriver[])[] = [
  ['throttle'],
  ['throttle'],
  ['copy-on-read'],
  ['copy-on-read', 'throttle'],
  ['throttle', 'copy-on-read'],
];

/** As the simulator goes by itself. */
export const STEADY: Pace = {
  commandMs: 0.05,
  queryMs: 0.02,
  copyBytesPerMs: 1_048_576,
  mirrorLagMs: 0.3,
  guestWriteMs: 0.2,
};

/** Every ratio between QEMU, its jobs and the guest is another interleaving. */
function drawPace(draw: Draw): Pace {
  return {
    commandMs: draw.one([0.01, 0.05, 0.4]),
    queryMs: draw.one([0.005, 0.02, 0.2]),
    copyBytesPerMs: draw.one([20_000, 200_000, 1_048_576]),
    mirrorLagMs: draw.one([0.05, 0.3, 2, 20]),
    guestWriteMs: draw.one([0.03, 0.2, 1.7]),
  };
}
