/** Scripts about `blockdev-backup` that real QEMU and the simulator must answer alike: alone, in transactions, and with bitmaps. */

import type { Line } from './agreement.ts';
import type { Message } from './raw-session.ts';
import { image, type Script } from './sequences.ts';

const MANUAL = { 'auto-finalize': false, 'auto-dismiss': false };

function dataOf(more: Message = {}): Message {
  return { 'job-id': 'b', device: 'disk0', target: 't', sync: 'full', ...MANUAL, ...more };
}

const other = (more: Message = {}): Message =>
  dataOf({ 'job-id': 'c', device: 'disk1', target: 'u', ...more });
const backup = (more: Message = {}): Line => ['blockdev-backup', dataOf(more)];
const inGroup = (mode: string, ...data: readonly Message[]): Line => [
  'transaction',
  {
    properties: { 'completion-mode': mode },
    actions: data.map(each => ({ type: 'blockdev-backup', data: each })),
  },
];
const guest = (device: number, rest: string): Line => [
  'human-monitor-command',
  { 'command-line': `qemu-io -d /machine/peripheral/dev${device}/virtio-backend "${rest}"` },
];
const wait = (job: string, until: string): Line => ({ wait: job, until });
const dismiss = (id: string): Line => ['job-dismiss', { id }];
const finalize = (id: string): Line => ['job-finalize', { id }];
const cancel = (id: string): Line => ['job-cancel', { id }];
const faster = (device: string): Line => ['block-job-set-speed', { device, speed: 0 }];
const queries: readonly Line[] = [
  ['query-block'],
  ['query-named-block-nodes'],
  ['query-jobs'],
  ['query-block-jobs'],
];
const ended = (id: string): readonly Line[] => [finalize(id), wait(id, 'concluded'), dismiss(id)];

export const BACKUP_SCRIPTS: readonly Script[] = [
  {
    title: 'a backup puts a filter in front, which goes when it ends',
    disks: 1,
    lines: [
      ...image('t'),
      guest(0, 'write 0 4M'),
      backup({ 'filter-node-name': 'cbw' }),
      wait('b', 'pending'),
      ...queries,
      ['job-complete', { id: 'b' }],
      ['blockdev-del', { 'node-name': 'cbw' }],
      ['blockdev-del', { 'node-name': 't' }],
      finalize('b'),
      wait('b', 'concluded'),
      ['query-block'],
      ['query-jobs'],
      dismiss('b'),
      ...queries,
    ],
  },
  {
    title: 'a backup ends by itself unless it is told not to',
    disks: 1,
    lines: [
      ...image('t'),
      ['blockdev-backup', { 'job-id': 'b', device: 'disk0', target: 't', sync: 'full' }],
      wait('b', 'gone'),
      ...queries,
    ],
  },
  {
    title: 'what a backup is refused for, in its order',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('small', {}, 33_554_432),
      ...[
        { target: 'nope' },
        { device: 'nope' },
        { device: 'dev0' },
        { target: 'disk0' },
        { target: 'disk1' },
        { target: 'small' },
        { 'job-id': '1x' },
        { speed: -1 },
        { sync: 'wrong' },
        { sync: 'bitmap' },
        { sync: 'incremental' },
        { sync: 'bitmap', bitmap: 'x' },
        { bitmap: 'x' },
        { 'bitmap-mode': 'never' },
        { 'filter-node-name': 'disk1' },
        { 'filter-node-name': 'a/b' },
      ].map(backup),
      ['block-dirty-bitmap-add', { node: 'disk0', name: 'x' }],
      ...[
        { bitmap: 'x' },
        { bitmap: 'x', 'bitmap-mode': 'never' },
        { sync: 'none', bitmap: 'x', 'bitmap-mode': 'always' },
        { sync: 'incremental', bitmap: 'x', 'bitmap-mode': 'never' },
      ].map(backup),
      backup(),
      wait('b', 'pending'),
      backup({ 'job-id': 'c' }),
      ['query-jobs'],
      ['query-named-block-nodes'],
    ],
  },
  {
    title: 'two backups of one disk, and what else is refused meanwhile',
    disks: 1,
    lines: [
      ...image('t'),
      ...image('u'),
      guest(0, 'write 0 4M'),
      backup(),
      wait('b', 'pending'),
      backup({ target: 'u' }),
      backup({ 'job-id': 'c', target: 'u' }),
      wait('c', 'pending'),
      backup({ 'job-id': 'd', target: 'u' }),
      ['blockdev-mirror', { 'job-id': 'm', device: 'disk0', target: 'u', sync: 'full' }],
      ['block-commit', { 'job-id': 'm', device: 'disk0' }],
      ['blockdev-snapshot', { node: 'disk0', overlay: 'u' }],
      ['x-debug-query-block-graph'],
      ...ended('b'),
      ...ended('c'),
    ],
  },
  {
    title: 'a backup of a disk that is mirrored',
    disks: 1,
    lines: [
      ...image('t'),
      ...image('u'),
      ['blockdev-mirror', { 'job-id': 'm', device: 'disk0', target: 'u', sync: 'full', ...MANUAL }],
      wait('m', 'ready'),
      backup(),
      backup({ device: 'u' }),
      backup({ target: 'u' }),
      ['query-block-jobs'],
    ],
  },
  {
    title: 'what the guest writes over is copied before, and with none nothing else',
    disks: 1,
    lines: [
      ...image('t'),
      guest(0, 'write -P 1 0 4M'),
      backup({ sync: 'none' }),
      guest(0, 'write -P 2 0 1M'),
      guest(0, 'write -P 3 0 128k'),
      ...queries,
      cancel('b'),
      wait('b', 'concluded'),
      ['query-jobs'],
      dismiss('b'),
    ],
  },
  {
    title: 'a backup is as the disk was when it began',
    disks: 1,
    lines: [
      ...image('t'),
      guest(0, 'write -P 1 0 4M'),
      backup({ speed: 65_536 }),
      guest(0, 'write -P 2 3M 64k'),
      faster('b'),
      wait('b', 'pending'),
      guest(0, 'write -P 3 1M 64k'),
      ['query-named-block-nodes'],
      ...ended('b'),
    ],
  },
  {
    title: 'of the uppermost image alone',
    disks: 1,
    backingLayers: 1,
    lines: [
      ...image('t', { backing: null }),
      guest(0, 'write -P 1 0 4M'),
      backup({ sync: 'top' }),
      wait('b', 'pending'),
      ...queries,
      ...ended('b'),
    ],
  },
  {
    title: 'a snapshot above the filter of a backup',
    disks: 1,
    lines: [
      ...image('t'),
      ...image('o', { backing: null }),
      backup(),
      wait('b', 'pending'),
      ['blockdev-snapshot', { node: 'disk0', overlay: 'o' }],
      ['query-block'],
      ...ended('b'),
    ],
  },
  {
    title: 'backups of a transaction end each by itself',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('u'),
      inGroup('individual', dataOf({ speed: 1 }), other()),
      wait('c', 'pending'),
      cancel('b'),
      wait('b', 'concluded'),
      finalize('c'),
      wait('c', 'concluded'),
    ],
  },
  {
    title: 'grouped backups wait for one another and are finalized together',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('u'),
      inGroup('grouped', dataOf(), other({ speed: 65_536 })),
      wait('b', 'waiting'),
      finalize('b'),
      faster('c'),
      wait('c', 'pending'),
      ['query-jobs'],
      finalize('c'),
      wait('c', 'concluded'),
      ['query-jobs'],
      dismiss('c'),
      dismiss('b'),
    ],
  },
  {
    title: 'where one of the grouped backups is cancelled all are',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('u'),
      inGroup('grouped', dataOf(), other({ speed: 1 })),
      wait('b', 'waiting'),
      cancel('c'),
      wait('b', 'concluded'),
      wait('c', 'concluded'),
      dismiss('b'),
      dismiss('c'),
      ...queries,
    ],
  },
  {
    title: 'grouped backups pass on by themselves only where all may',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('u'),
      inGroup('grouped', dataOf({ speed: 1 }), other({ 'auto-finalize': true })),
      wait('c', 'waiting'),
      faster('b'),
      wait('b', 'pending'),
      ['query-jobs'],
      finalize('b'),
      wait('c', 'concluded'),
      dismiss('b'),
      dismiss('c'),
      inGroup(
        'grouped',
        dataOf({ 'auto-finalize': true, 'auto-dismiss': true }),
        other({ 'auto-finalize': true, 'auto-dismiss': true }),
      ),
      wait('c', 'gone'),
      ['query-jobs'],
    ],
  },
  {
    title: 'a transaction that fails withdraws its backups',
    disks: 2,
    lines: [
      ...image('t'),
      ...image('u'),
      inGroup('individual', dataOf({ speed: 1 }), other({ target: 'nope' })),
      [
        'transaction',
        {
          properties: { 'completion-mode': 'grouped' },
          actions: [
            { type: 'blockdev-backup', data: dataOf() },
            { type: 'blockdev-snapshot', data: { node: 'disk0', overlay: 'u' } },
          ],
        },
      ],
      ['query-jobs'],
      ['query-named-block-nodes'],
    ],
  },
  {
    title: 'an incremental backup holds its bitmap and leaves what was written since',
    disks: 1,
    lines: [
      ...image('t'),
      guest(0, 'write -P 1 0 4M'),
      ['block-dirty-bitmap-add', { node: 'disk0', name: 'x' }],
      guest(0, 'write -P 2 1M 128k'),
      backup({ sync: 'incremental', bitmap: 'x' }),
      ...(['remove', 'clear', 'disable', 'enable'] as const).map(
        (verb): Line => [`block-dirty-bitmap-${verb}`, { node: 'disk0', name: 'x' }],
      ),
      ['block-dirty-bitmap-merge', { node: 'disk0', target: 'x', bitmaps: ['x'] }],
      wait('b', 'pending'),
      guest(0, 'write -P 3 2M 64k'),
      ...queries,
      ...ended('b'),
      ['query-named-block-nodes'],
      backup({ sync: 'bitmap', bitmap: 'x', 'bitmap-mode': 'never' }),
      wait('b', 'pending'),
      ...ended('b'),
      ['query-named-block-nodes'],
      backup({ sync: 'full', bitmap: 'x', 'bitmap-mode': 'always' }),
      wait('b', 'pending'),
      ...ended('b'),
      ['query-named-block-nodes'],
    ],
  },
  {
    title: 'a bitmap and a backup in one transaction, and a cancelled one keeps the bitmap',
    disks: 1,
    lines: [
      ...image('t'),
      guest(0, 'write -P 1 0 4M'),
      [
        'transaction',
        {
          actions: [
            { type: 'block-dirty-bitmap-add', data: { node: 'disk0', name: 'x' } },
            { type: 'blockdev-backup', data: dataOf() },
          ],
        },
      ],
      wait('b', 'pending'),
      guest(0, 'write -P 2 1M 64k'),
      ...ended('b'),
      backup({ sync: 'incremental', bitmap: 'x' }),
      wait('b', 'pending'),
      cancel('b'),
      wait('b', 'concluded'),
      dismiss('b'),
      ['query-named-block-nodes'],
    ],
  },
  {
    title: 'a bitmap that is merged with nothing',
    disks: 1,
    lines: [
      ['block-dirty-bitmap-add', { node: 'disk0', name: 'x' }],
      ['block-dirty-bitmap-merge', { node: 'disk0', target: 'x', bitmaps: [] }],
    ],
  },
];
