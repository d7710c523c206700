/**
 * What third parties send to QEMU on monitors of their own, one row for each command: how often it is drawn, and what it
 * says about one disk of the request. A row with `held` is drawn only when that is asked for, since the engine is known
 * not to survive it yet; the reason says what is seen. Decides nothing about what should come of it.
 */

import { type DiskNames, diskNames, groupName, sagaToken } from '../../plan/names.ts';
import type { Json } from '../../qmp/transport.ts';
import type { Draw } from './draw.ts';
import type { GuestChoice } from './scenario.ts';
import type { Wish } from './wish.ts';
import { theirFile } from './wish-files.ts';
import { SAGA } from './wish-request.ts';

/** The disk that a command is about, and everything that the saga has for it. */
export interface Target {
  readonly draw: Draw;
  readonly names: DiskNames;
  /** The names that the saga has for this very disk; `names` may be those of another one of the request. */
  readonly own: DiskNames;
  readonly group: string;
  /** The guest's device by its id, and by its place among QEMU's objects. */
  readonly device: string;
  readonly qdev: string;
  /** The node in front of the guest's device when the saga began. */
  readonly disk: string;
  /** A file of their own for this disk. */
  readonly file: string;
}

export interface Sent {
  readonly execute: string;
  readonly arguments?: { readonly [name: string]: Json };
}

export interface ForeignCommand {
  readonly weight: number;
  /** Why it is not drawn by itself. */
  readonly held?: string;
  readonly send: (target: Target) => Sent | readonly Sent[];
}

const onJob =
  (execute: string) =>
  ({ names, draw }: Target): Sent => ({
    execute,
    arguments: { id: draw.chance(6) ? names.undoJob : names.job },
  });
const onBlockJob =
  (execute: string, more: { readonly [name: string]: Json } = {}) =>
  ({ names, draw }: Target): Sent => ({
    execute,
    arguments: { device: draw.chance(6) ? names.undoJob : names.job, ...more },
  });
const alone = (execute: string) => (): Sent => ({ execute });

/** One of the nodes that a saga has for a disk. */
const nodeOf = ({ draw, names, disk }: Target): string =>
  draw.one([
    names.image,
    names.image,
    names.imageFile,
    names.filter,
    names.chain,
    disk,
    disk,
    `${disk}-file`,
  ]);

const exportAdd = ({ draw, names, disk }: Target): Sent => ({
  execute: 'block-export-add',
  arguments: { type: 'nbd', id: 'theirs', 'node-name': draw.one([disk, names.image]) },
});

const NBD_SERVER = { addr: { type: 'unix', data: { path: '/run/nbd.sock' } } } as const;
const LARGER_BYTES = 134_217_728;
const SLOW_BYTES_PER_SECOND = 1_000_000;

/** The time that the memory takes: over at once, in the pause, or longer than the saga. */
const migration = (draw: Draw): Sent => ({
  execute: 'migrate',
  arguments: { uri: `exec:sleep ${draw.one([5, 5, 40, 400])}` },
});

export const FOREIGN_COMMANDS: Readonly<Record<string, ForeignCommand>> = {
  'job-cancel': { weight: 2, send: onJob('job-cancel') },
  'job-pause': { weight: 2, send: onJob('job-pause') },
  'job-resume': { weight: 1, send: onJob('job-resume') },
  'job-dismiss': { weight: 2, send: onJob('job-dismiss') },
  'job-complete': { weight: 4, send: onJob('job-complete') },
  'job-finalize': { weight: 2, send: onJob('job-finalize') },
  'block-job-cancel': { weight: 2, send: onBlockJob('block-job-cancel') },
  'block-job-cancel force': {
    weight: 1,
    send: onBlockJob('block-job-cancel', { force: true }),
  },
  'block-job-complete': { weight: 1, send: onBlockJob('block-job-complete') },
  'block-job-set-speed': {
    weight: 1,
    send: onBlockJob('block-job-set-speed', { speed: SLOW_BYTES_PER_SECOND }),
  },
  'blockdev-del': {
    weight: 2,
    send: target => ({ execute: 'blockdev-del', arguments: { 'node-name': nodeOf(target) } }),
  },
  'object-del': {
    weight: 1,
    send: ({ group }) => ({ execute: 'object-del', arguments: { id: group } }),
  },
  'blockdev-reopen': {
    weight: 2,
    send: ({ draw, names, disk, group }) => {
      const filter = { driver: 'throttle', 'node-name': names.filter, 'throttle-group': group };
      return {
        execute: 'blockdev-reopen',
        arguments: { options: [{ ...filter, file: draw.one([disk, names.image]) }] },
      };
    },
  },
  'qom-set': {
    weight: 2,
    send: ({ draw, names, qdev, disk }) => ({
      execute: 'qom-set',
      arguments: { path: qdev, property: 'drive', value: draw.one([names.image, names.filter, disk]) },
    }),
  },
  'blockdev-snapshot': {
    weight: 1,
    // The image of another disk is not tried: it would mix what both hold, whatever a saga does.
    send: ({ own, disk }) => ({
      execute: 'blockdev-snapshot',
      arguments: { node: disk, overlay: own.image },
    }),
  },
  'blockdev-snapshot-sync': {
    weight: 2,
    send: ({ draw, names, disk, file }) => ({
      execute: 'blockdev-snapshot-sync',
      arguments: {
        'node-name': draw.one([disk, disk, names.image]),
        'snapshot-file': file,
        'snapshot-node-name': `theirs-${disk}`,
      },
    }),
  },
  device_del: {
    weight: 2,
    send: ({ device }) => ({ execute: 'device_del', arguments: { id: device } }),
  },
  eject: {
    weight: 1,
    send: ({ device }) => ({ execute: 'eject', arguments: { id: device, force: true } }),
  },
  block_resize: {
    weight: 1,
    send: ({ disk }) => ({
      execute: 'block_resize',
      arguments: { 'node-name': disk, size: LARGER_BYTES },
    }),
  },
  'block_resize image': {
    weight: 1,
    send: ({ names }) => ({
      execute: 'block_resize',
      arguments: { 'node-name': names.image, size: LARGER_BYTES },
    }),
  },
  'nbd-server-start': { weight: 1, send: () => ({ execute: 'nbd-server-start', arguments: NBD_SERVER }) },
  'block-export-add': {
    weight: 2,
    send: target => exportAdd(target),
  },
  'nbd-server-start, block-export-add': {
    weight: 2,
    send: target => [{ execute: 'nbd-server-start', arguments: NBD_SERVER }, exportAdd(target)],
  },
  stop: { weight: 1, send: alone('stop') },
  cont: { weight: 2, send: alone('cont') },
  system_reset: { weight: 1, send: alone('system_reset') },
  migrate: { weight: 3, send: ({ draw }) => migration(draw) },
  'migrate, migrate_cancel': {
    weight: 2,
    send: ({ draw }) => [migration(draw), { execute: 'migrate_cancel' }],
  },
  migrate_cancel: { weight: 1, send: alone('migrate_cancel') },
  quit: { weight: 1, send: alone('quit') },
};

/** The commands of one row about one disk that the request names. */
export function drawForeign(
  draw: Draw,
  { send }: ForeignCommand,
  wish: Wish,
  guest: GuestChoice,
): readonly Sent[] {
  const index = draw.one(wish.named);
  const mark = wish.operation === 'snapshotMirror' && !draw.chance(4) ? 'm' : '';
  const token = sagaToken(SAGA);
  return sentBy(send, {
    draw,
    names: diskNames(token, index, mark),
    own: diskNames(token, wish.named.indexOf(index), mark),
    group: groupName(token),
    device: `dev${index}`,
    qdev: `dev${index}`,
    disk: guest.style === 'drive' ? `drive${index}` : `disk${index}`,
    file: theirFile(index),
  });
}

/** What a row sends about a disk, in order. */
export function sentBy(send: ForeignCommand['send'], target: Target): readonly Sent[] {
  const sent = send(target);
  return 'execute' in sent ? [sent] : sent;
}
