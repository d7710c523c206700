/** The requests that wishes stand for, as a user would send them, and how an engine is asked. */
import type { Engine } from '../../engine/api.ts';
import type { Guest } from '../../engine/connection/guest.ts';
import type { Saga } from '../../engine/running/saga.ts';
import type { OfflineCommitRequest } from '../../operations/commit-offline-request.ts';
import type {
  CommitRequest,
  CopyRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../../operations/requests.ts';
import type { GuestChoice } from './scenario.ts';
import { isSince } from './since.ts';
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
export function submit(engine: Engine, wish: LiveWish, choice: GuestChoice, guest: Guest): Promise<Saga> {
  switch (wish.operation) {
    case 'snapshot':
    case 'snapshotMirror':
      return engine.snapshot({ ...snapshotRequestOf(wish, choice), ...guest });
    case 'copy':
      return engine.copy({ ...copyRequestOf(wish, choice), ...guest });
    case 'pull':
      return engine.pull({ ...pullRequestOf(wish, choice), ...guest });
    case 'commit':
      return engine.commit({ ...commitRequestOf(wish, choice), ...guest });
    case 'revert':
      return engine.revert({ ...revertRequestOf(wish, choice), ...guest });
  }
}

export function snapshotRequestOf(
  wish: WishOf<'snapshot' | 'snapshotMirror'>,
  guest: GuestChoice,
): SnapshotRequest {
  const mirrors =
    wish.operation === 'snapshotMirror'
      ? (index: number) => ({ mirror: mirrorFile(index), ...(wish.ownChains ? { mirrorReuse: true } : {}) })
      : () => (wish.reuse ? { reuse: true } : {});
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: diskName(guest, index),
      overlay: newFile(wish, index),
      ...mirrors(index),
    })),
    ...(wish.quiesce ? { quiesce: AGENT } : {}),
    ...(wish.operation === 'snapshotMirror' ? { parallel: wish.parallel, ...pacedOf(wish) } : {}),
  };
}

export function copyRequestOf(wish: WishOf<'copy'>, guest: GuestChoice): CopyRequest {
  const { finish, parallel, shallow, base, reuse, to, syncWrites } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: diskName(guest, index),
      to: newFile(wish, index),
      format: to,
      ...(shallow ? { shallow } : {}),
      ...(base === undefined ? {} : { base: `${diskName(guest, index)}[${base}]` }),
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

export function pullRequestOf(wish: WishOf<'pull'>, guest: GuestChoice): PullRequest {
  const { base, parallel } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: diskName(guest, index),
      ...(base === null ? {} : { base: `${diskName(guest, index)}[${base}]` }),
    })),
    parallel,
  };
}

export function commitRequestOf(wish: WishOf<'commit'>, guest: GuestChoice): CommitRequest {
  const { top, base, parallel, finish, strategy } = wish;
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: diskName(guest, index),
      top: `${diskName(guest, index)}[${top}]`,
      base: `${diskName(guest, index)}[${base}]`,
    })),
    parallel,
    delete: wish.delete,
    ...(top === 0 ? { active: true, finish } : {}),
    ...(top !== 0 || strategy === 'auto' ? {} : { strategy }),
  };
}

export function revertRequestOf(wish: WishOf<'revert'>, guest: GuestChoice): RevertRequest {
  return {
    ...commonOf(wish),
    disks: wish.named.map(index => ({
      disk: diskName(guest, index),
      to: `${diskName(guest, index)}[${wish.to}]`,
      overlay: newFile(wish, index),
    })),
    delete: wish.delete,
  };
}

/** How a request calls a disk of the guest: QEMU before 2.10 does not say which device a disk is of, but its drive. */
export function diskName({ profile }: Pick<GuestChoice, 'profile'>, index: number): string {
  return isSince(profile, '2.12') ? `dev${index}` : `drive${index}`;
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
