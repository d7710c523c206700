/** Scenarios in which nothing goes wrong, one for every way in which disks are changed: what the other tests start from. */
import { STEADY } from '../src/fuzz/draw-scenario.ts';
import type { GuestChoice, Scenario, Wish } from '../src/fuzz/scenario.ts';

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

function plain(wish: Wish, guest: Partial<GuestChoice> = {}): Scenario {
  return {
    seed: 7,
    guest: { ...GUEST, ...guest },
    pace: STEADY,
    wish,
    faults: [],
    signals: 'finish' in wish && wish.finish === 'leave' ? [{ signal: 'pivot', atMs: 3 }] : [],
    deaths: [],
    lingerMs: 0.2,
  };
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
  'a copy that finalizes mirrors': plain({ ...COPY, strategy: 'finalize' }, { profile: '5.2' }),
  'a copy that completes mirrors': plain({ ...COPY, strategy: 'complete' }),
  'a clone': plain({ ...COPY, finish: 'clone' }),
  'a copy that waits for its signal': plain({ ...COPY, finish: 'leave' }),
} as const satisfies Record<string, Scenario>;
