/** The requests that wishes stand for, as a user would send them, and how an engine is asked. */
import type { Engine } from '../engine/api.ts';
import type { Guest } from '../engine/guest.ts';
import type { Saga } from '../engine/saga.ts';
import type { OfflineCommitRequest } from '../operations/commit-offline-request.ts';
import type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../operations/requests.ts';
import type { GuestChoice } from './scenario.ts';
import type { Wish, WishOf } from './wish.ts';
import { fileInChain, mirrorFile, newFile } from './wish-files.ts';

/** The saga's id; the same in every run, so that names on the wire are the same too. */
export const SAGA = 'fuzzed';
/** The VM's name in the journal. */
const VM = 'guest';
const AGENT = '/simulated.qga';

/** What an engine is asked, which a guest without QEMU is not. */
export type LiveWish = Exclude<Wish, WishOf<'commitOffline'>>;

/** Begins the saga that a wish stands for. */
export function submit(engine: Engine, wish: LiveWish, guest: Guest): Promise<Saga> {
  switch (wish.operation) {
    case 'snapshot':
    case 'snapshotMirror':
      return engine.snapshot({ ...snapshotRequestOf(wish), ...guest });
    case 'copy':
      return engine.copy({ ...copyRequestOf(wish), ...guest });
    case 'pull':
      return engine.pull({ ...pullRequestOf(wish), ...guest });
    case 'commit':
      return engine.commit({ ...commitRequestOf(wish), ...guest });
    case 'revert':
      return engine.revert({ ...revertRequestOf(wish), ...guest });
  }
}

export function snapshotRequestOf(wish: WishOf<'snapshot' | 'snapshotMirror'>): SnapshotRequest {
  const mirrors =
    wish.operation === 'snapshotMirror'
      ? (index: number) => ({ mirror: mirrorFile(index), ...(wish.ownChains ? { mirrorReuse: true } : {}) })
      : () => (wish.reuse ? { reuse: true } : {});
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      overlay: newFile(wish, index),
      ...mirrors(index),
    })),
    ...(wish.quiesce ? { quiesce: AGENT } : {}),
    ...(wish.operation === 'snapshotMirror' ? { parallel: wish.parallel, ...pacedOf(wish) } : {}),
  };
}

export function copyRequestOf(wish: WishOf<'copy'>): CopyRequest {
  const { finish, parallel, shallow, base, reuse, to, syncWrites } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      to: newFile(wish, index),
      format: to,
      ...(shallow ? { shallow } : {}),
      ...(base === undefined ? {} : { base: `dev${index}[${base}]` }),
      ...(reuse ? { reuse } : {}),
    })),
    finish,
    parallel,
    ...pacedOf(wish),
    ...(syncWrites ? { syncWrites } : {}),
  };
}

/** The strategy and the bandwidth, where they are not left to the engine. */
function pacedOf({ strategy, bandwidth }: WishOf<'copy' | 'snapshotMirror'>) {
  return {
    ...(strategy === 'auto' ? {} : { strategy }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
}

export function pullRequestOf(wish: WishOf<'pull'>): PullRequest {
  const { base, parallel } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      ...(base === null ? {} : { base: `dev${index}[${base}]` }),
    })),
    parallel,
  };
}

export function commitRequestOf(wish: WishOf<'commit'>): CommitRequest {
  const { top, base, parallel, finish, strategy } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      top: `dev${index}[${top}]`,
      base: `dev${index}[${base}]`,
    })),
    parallel,
    delete: wish.delete,
    ...(top === 0 ? { active: true, finish } : {}),
    ...(top !== 0 || strategy === 'auto' ? {} : { strategy }),
  };
}

export function revertRequestOf(wish: WishOf<'revert'>): RevertRequest {
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: `dev${index}`,
      to: `dev${index}[${wish.to}]`,
      overlay: newFile(wish, index),
    })),
    delete: wish.delete,
  };
}

export function commitOfflineRequestOf({
  guest,
  wish,
}: {
  readonly guest: GuestChoice;
  readonly wish: WishOf<'commitOffline'>;
}): OfflineCommitRequest {
  return {
    id: SAGA,
    vm: VM,
    disks: wish.named.map(index => ({
      disk: fileInChain(guest, index, 0),
      top: `[${wish.top}]`,
      base: `[${wish.base}]`,
    })),
    delete: wish.delete,
  };
}

function commonOf({ without, maxBlackoutMs }: Wish) {
  return { id: SAGA, vm: VM, maxBlackoutMs, ...(without.length === 0 ? {} : { without }) };
}
