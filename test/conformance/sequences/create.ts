/** `blockdev-create`: sizes that are no multiple of a sector, each format, and what is refused. */

import type { Json } from '../../../src/qmp/transport.ts';
import { create, dismiss, guest, SIZE, wait } from '../lines.ts';
import type { Sequence, SequenceLine } from '../sequence.ts';

const file = (name: string, size: Json): readonly SequenceLine[] =>
  create({ driver: 'file', filename: `DIR/${name}`, size });
const open = (name: string): SequenceLine => [
  'blockdev-add',
  { driver: 'file', 'node-name': name, filename: `DIR/${name}` },
];
const ODD: readonly number[] = [0, 1, 511, 512, 513, 1_000, 65_535, 1_048_577, 1_000_000_000_001];

export const CREATE: readonly Sequence[] = [
  {
    title: 'raw files of odd sizes',
    disks: 1,
    lines: [
      ...ODD.flatMap((size, at): readonly SequenceLine[] => [
        ...file(`r${at}`, size),
        open(`r${at}`),
        ['blockdev-add', { driver: 'raw', 'node-name': `raw${at}`, file: `r${at}` }],
      ]),
      ['query-named-block-nodes', { flat: true }],
      ...create({ driver: 'raw', size: 512 }),
      ...create({ driver: 'null-co', size: 512 }),
      ...create({ driver: 'null-co' }),
      ['block_resize', { 'node-name': 'raw1', size: 1_001 }],
      ['block_resize', { 'node-name': 'raw1', size: 0 }],
      ['query-named-block-nodes'],
    ],
  },
  {
    title: 'qcow2 images of odd sizes',
    disks: 1,
    lines: [
      ...file('q', 0),
      open('q'),
      ...ODD.flatMap((size): readonly SequenceLine[] => [
        ...create({ driver: 'qcow2', file: 'q', size }),
        ['blockdev-add', { driver: 'qcow2', 'node-name': 'n', file: 'q' }],
        ['query-named-block-nodes', { flat: true }],
        ['blockdev-del', { 'node-name': 'n' }],
      ]),
    ],
  },
  ...['qed', 'vmdk', 'vdi', 'vhdx'].map(
    (driver): Sequence => ({
      title: `${driver} images of several sizes`,
      disks: 1,
      lines: [
        ...file('q', 0),
        open('q'),
        ...[0, 1, 512, 1_000, 1_048_576, 1_048_577, SIZE].flatMap((size): readonly SequenceLine[] => [
          ...create({ driver, file: 'q', size }),
          ['blockdev-add', { driver, 'node-name': 'n', file: 'q' }],
          ['query-named-block-nodes', { flat: true }],
          ['blockdev-del', { 'node-name': 'n' }],
        ]),
      ],
    }),
  ),
  {
    title: 'options of a qcow2 image, and what is told of it',
    disks: 1,
    lines: [
      ...file('q', 0),
      open('q'),
      ...[
        { 'cluster-size': 4_096 },
        { 'cluster-size': 1_000 },
        { 'cluster-size': 256 },
        { 'cluster-size': 4_194_304 },
        { 'cluster-size': '4k' },
        { version: 'v2' },
        { version: 'v4' },
        { 'lazy-refcounts': true },
        { version: 'v2', 'lazy-refcounts': true },
        { 'refcount-bits': 8 },
        { 'refcount-bits': 3 },
        { 'refcount-bits': 128 },
        { version: 'v2', 'refcount-bits': 8 },
        { preallocation: 'metadata' },
        { preallocation: 'nope' },
        { 'extended-l2': true },
        { 'extended-l2': true, 'cluster-size': 4_096 },
        { version: 'v2', 'extended-l2': true },
        { 'compression-type': 'zstd' },
        { 'compression-type': 'nope' },
        { 'backing-file': 'DIR/none.qcow2', 'backing-fmt': 'qcow2' },
        { 'backing-fmt': 'qcow2' },
        { 'backing-file': 'DIR/none.qcow2' },
        { 'backing-file': 'x'.repeat(1_024), 'backing-fmt': 'raw' },
        { 'data-file-raw': true },
        { 'data-file': 'nope' },
        { nocow: true },
      ].flatMap((more): readonly SequenceLine[] => [
        ...create({ driver: 'qcow2', file: 'q', size: SIZE, ...more }),
        ['blockdev-add', { driver: 'qcow2', 'node-name': 'n', file: 'q', backing: null }],
        ['query-named-block-nodes', { flat: true }],
        ['blockdev-del', { 'node-name': 'n' }],
      ]),
    ],
  },
  {
    title: 'an image whose header describes the node below it, with what is below that',
    disks: 1,
    lines: [
      ...['b', 'm', 't'].flatMap(name => [...file(name, 0), open(name)]),
      ...create({ driver: 'qcow2', file: 'b', size: SIZE }),
      ...create({ driver: 'qcow2', file: 'm', size: SIZE }),
      ...create({
        ...{ driver: 'qcow2', file: 't', size: SIZE, 'backing-fmt': 'qcow2' },
        'backing-file': `json:${JSON.stringify({
          backing: { driver: 'qcow2', file: { driver: 'file', filename: 'DIR/b' } },
          ...{ driver: 'qcow2', file: { driver: 'file', filename: 'DIR/m' } },
        })}`,
      }),
      ['blockdev-add', { driver: 'qcow2', 'node-name': 'n', file: 't' }],
      ['blockdev-del', { 'node-name': 'm' }],
      ['blockdev-del', { 'node-name': 'n' }],
    ],
  },
  {
    title: 'options of a file',
    disks: 1,
    lines: [
      ...[
        { preallocation: 'falloc' },
        { preallocation: 'full' },
        { preallocation: 'off' },
        { preallocation: 'metadata' },
        { preallocation: 'nope' },
        { nocow: true },
        { nocow: 1 },
        { 'extent-size-hint': 1_048_576 },
        { 'extent-size-hint': -1 },
        { 'cluster-size': 1 },
        { size: -1 },
        { size: '1' },
        { size: 1.5 },
        { size: null },
        { size: 1e19 },
        { size: 1e20 },
        { filename: 5 },
        { filename: '' },
        { filename: 'DIR/nowhere/f' },
        { filename: 'DIR' },
      ].flatMap(more => create({ driver: 'file', filename: 'DIR/f', size: 1_048_576, ...more })),
    ],
  },
  {
    title: 'what blockdev-create is refused for',
    disks: 1,
    lines: [
      ['blockdev-create', {}],
      ['blockdev-create', { 'job-id': 'k' }],
      ['blockdev-create', { 'job-id': 'k', options: null }],
      ['blockdev-create', { 'job-id': 'k', options: {} }],
      ['blockdev-create', { 'job-id': 'k', options: { driver: 'nope' } }],
      ['blockdev-create', { 'job-id': 'k', options: { driver: 'file' } }],
      ['blockdev-create', { 'job-id': 'k', options: { driver: 'file', filename: 'DIR/f' } }],
      ['blockdev-create', { 'job-id': '1k', options: { driver: 'file', filename: 'DIR/f', size: 0 } }],
      ['blockdev-create', { 'job-id': '', options: { driver: 'file', filename: 'DIR/f', size: 0 } }],
      ['blockdev-create', { 'job-id': 5, options: { driver: 'file', filename: 'DIR/f', size: 0 } }],
      ...create({ driver: 'qcow2', file: 'nope', size: 0 }),
      ...create({ driver: 'qcow2', file: 'disk0-file', size: 0 }),
      ...create({ driver: 'qcow2', file: 'disk0', size: 0 }),
      ...create({ driver: 'qcow2', file: { driver: 'file', filename: 'DIR/none' }, size: 0 }),
      ...create({ driver: 'qcow2', file: null, size: 0 }),
      ...create({ driver: 'qcow2', file: 5, size: 0 }),
      ...create({ driver: 'file', filename: 'DIR/disk0.qcow2', size: 0 }),
      ['blockdev-create', { 'job-id': 'k', options: { driver: 'file', filename: 'DIR/f', size: 0 } }],
      ['blockdev-create', { 'job-id': 'k', options: { driver: 'file', filename: 'DIR/f', size: 0 } }],
      wait('k', 'concluded'),
      ['job-finalize', { id: 'k' }],
      ['job-cancel', { id: 'k' }],
      ['job-complete', { id: 'k' }],
      ['job-pause', { id: 'k' }],
      ['block-job-cancel', { device: 'k' }],
      ['query-block-jobs'],
      dismiss('k'),
      dismiss('k'),
      guest('read 0 512'),
    ],
  },
];
