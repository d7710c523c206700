/** Scenarios in which nothing goes wrong, one for every way in which disks are changed: what the other tests start from. */
import { STEADY } from '../src/fuzz/draw/draw-scenario.ts';
import type { GuestChoice, Scenario } from '../src/fuzz/scenario/scenario.ts';
import type { Wish } from '../src/fuzz/scenario/wish.ts';

const GUEST: GuestChoice = {
  profile: '7.2',
  disks: 2,
  style: 'blockdev',
  bus: 'virtio-blk',
  iothreads: false,
  backingLayers: 1,
  format: 'qcow2',
  paused: false,
};

const BOTH = { named: [0, 1], without: [] as readonly string[], maxBlackoutMs: 1_000 } as const;
const COPY = {
  ...BOTH,
  operation: 'copy',
  finish: 'pivot',
  strategy: 'auto',
  parallel: 2,
  shallow: false,
  to: 'qcow2',
  syncWrites: false,
} as const satisfies Wish;

const PULL = { ...BOTH, operation: 'pull', parallel: 2, base: null } as const satisfies Wish;
const COMMIT = {
  ...BOTH,
  operation: 'commit',
  parallel: 2,
  top: 0,
  base: 2,
  delete: false,
  finish: 'pivot',
  strategy: 'auto',
} as const satisfies Wish;
const REVERT = { ...BOTH, operation: 'revert', to: 1, delete: false, stopped: true } as const satisfies Wish;
const MIRRORED = {
  ...BOTH,
  operation: 'snapshotMirror',
  strategy: 'reopen',
  parallel: 2,
  ownChains: false,
} as const satisfies Wish;
const CHAINS = { backingLayers: 2 } as const;

function plain(
  wish: Wish,
  guest: Partial<GuestChoice> = {},
  signals: Scenario['signals'] = signalsFor(wish),
): Scenario {
  return {
    seed: 7,
    guest: { ...GUEST, ...guest },
    pace: STEADY,
    wish,
    faults: [],
    signals,
    deaths: [],
    lingerMs: 0.2,
  };
}

function signalsFor(wish: Wish): Scenario['signals'] {
  return 'finish' in wish && wish.finish === 'leave' ? [{ signal: 'pivot', atMs: 3 }] : [];
}

/** By what is done, and how. */
export const PLAIN = {
  'a snapshot in one transaction': plain({ operation: 'snapshot', ...BOTH }),
  'a snapshot whose overlays the transaction makes': plain({
    ...{ operation: 'snapshot', ...BOTH },
    without: ['blockdev-create'],
  }),
  'a snapshot disk by disk': plain({ operation: 'snapshot', ...BOTH, without: ['transaction'] }),
  'a copy that reopens filters': plain({ ...COPY, strategy: 'reopen' }, { style: 'drive' }),
  'a copy that reopens filters in the pause': plain({ ...COPY, strategy: 'reopen' }, { iothreads: true }),
  "a copy that reopens its disks' own throttles": plain(
    { ...COPY, strategy: 'reopen' },
    { filters: ['throttle'], filtered: [0, 1], inline: true },
  ),
  'a copy that finalizes mirrors below filters': plain(
    { ...COPY, strategy: 'finalize' },
    { filters: ['copy-on-read', 'throttle'], filtered: [1] },
  ),
  'a commit of active images below filters': plain(
    { ...COMMIT, base: 1 },
    { filters: ['throttle', 'copy-on-read'], filtered: [0, 1] },
  ),
  "a revert by its disks' own throttles": plain(REVERT, { filters: ['throttle'], filtered: [0] }),
  'a copy that finalizes mirrors': plain({ ...COPY, strategy: 'finalize' }, { profile: '5.2' }),
  'a copy that completes mirrors': plain({ ...COPY, strategy: 'complete' }),
  'a copy onto a base': plain({ ...COPY, base: 2 }, CHAINS),
  'a clone onto a base': plain({ ...COPY, base: 3, finish: 'clone' }, { backingLayers: 3 }),
  'a clone': plain({ ...COPY, finish: 'clone' }),
  'a copy that waits for its signal': plain({ ...COPY, finish: 'leave' }),
  'a pull of everything': plain(PULL, CHAINS),
  'a pull down to a base': plain({ ...PULL, base: 2 }, CHAINS),
  'a commit below the active images, which removes files': plain({ ...COMMIT, top: 1, delete: true }, CHAINS),
  'a commit of active images that reopens filters': plain({ ...COMMIT, strategy: 'reopen' }, CHAINS),
  'a commit of active images that finalizes, and removes files': plain(
    { ...COMMIT, strategy: 'finalize', delete: true },
    { ...CHAINS, profile: '5.2' },
  ),
  'a commit of active images that completes': plain({ ...COMMIT, strategy: 'complete' }, CHAINS),
  'a revert': plain({ ...REVERT, to: 2 }, CHAINS),
  'a revert that removes files': plain({ ...REVERT, delete: true }, { ...CHAINS, style: 'drive' }),
  'a snapshot whose mirrors are switched to': plain(MIRRORED),
  'a snapshot whose mirrors are finalized': plain({ ...MIRRORED, strategy: 'finalize' }, { profile: '5.2' }),
  'a snapshot that stays without its mirrors': plain(MIRRORED, {}, [{ signal: 'keepSnapshot', atMs: 6 }]),
  'a snapshot whose mirrors stand on chains of their own': plain({ ...MIRRORED, ownChains: true }),
  'a snapshot onto overlays that are there, with bitmaps that go on': plain({
    ...{ operation: 'snapshot', ...BOTH },
    reuse: true,
    bitmaps: true,
  }),
  'a copy of encrypted disks': plain({ ...COPY, strategy: 'reopen' }, { encrypted: true }),
  'a snapshot whose mirrors stand on encrypted chains of their own': plain(
    { ...MIRRORED, ownChains: true },
    { encrypted: true },
  ),
  'a copy onto images that are there': plain({ ...COPY, strategy: 'reopen', reuse: true }),
} as const satisfies Record<string, Scenario>;
