/** `null-co` and `null-aio`: disks that hold nothing. */

import type { Message } from '../../sim/raw-session.ts';
import { dismiss, guest, onNode, queries, wait } from '../lines.ts';
import type { Sequence, SequenceLine } from '../sequence.ts';

const add = (options: Message): SequenceLine => ['blockdev-add', options];

export const NULL_CO: readonly Sequence[] = [
  {
    title: 'what is told of null nodes, and read from them',
    disks: 1,
    lines: [
      add({ driver: 'null-co', 'node-name': 'n' }),
      add({ driver: 'null-co', 'node-name': 'odd', size: 1_000, 'read-zeroes': true }),
      add({ driver: 'null-aio', 'node-name': 'slow', 'latency-ns': 1_000, size: 4_096 }),
      add({ driver: 'null-aio', 'node-name': 'aio' }),
      add({ driver: 'raw', 'node-name': 'r', file: 'odd' }),
      add({ driver: 'raw', 'node-name': 'inline', file: { driver: 'null-co', size: 512 } }),
      add({ driver: 'null-co', 'node-name': 'ro', 'read-only': true }),
      add({ driver: 'null-co', 'node-name': 'x', 'latency-ns': -1 }),
      add({ driver: 'null-co', 'node-name': 'x', size: 'a' }),
      add({ driver: 'null-co', 'node-name': 'x', more: 1 }),
      add({ driver: 'null-co', 'node-name': 'n' }),
      ['query-named-block-nodes'],
      ['query-named-block-nodes', { flat: true }],
      ['x-debug-query-block-graph'],
      onNode('n', 'read -v 0 16'),
      onNode('n', 'read -P 0xab 0 64k'),
      onNode('n', 'read -P 0 0 64k'),
      onNode('odd', 'read -P 0 0 512'),
      onNode('n', 'write -P 1 0 512'),
      onNode('n', 'read 1G 512'),
      onNode('r', 'length'),
      ['blockdev-del', { 'node-name': 'odd' }],
      ['blockdev-del', { 'node-name': 'r' }],
      ['blockdev-del', { 'node-name': 'odd' }],
      ['blockdev-del', { 'node-name': 'n' }],
      ['block_resize', { 'node-name': 'slow', size: 512 }],
      add({ driver: 'qcow2', 'node-name': 'q', file: 'slow' }),
    ],
  },
  {
    title: 'a mirror, a backup and a bitmap of a null node',
    disks: 1,
    lines: [
      add({ driver: 'null-co', 'node-name': 't', size: 67_108_864, 'read-zeroes': true }),
      ['block-dirty-bitmap-add', { node: 't', name: 'm' }],
      guest('write -P 1 1M 64k'),
      [
        'blockdev-backup',
        { 'job-id': 'b', device: 'disk0', target: 't', sync: 'full', 'auto-dismiss': false },
      ],
      wait('b', 'concluded'),
      ['query-jobs'],
      dismiss('b'),
      ['blockdev-mirror', { 'job-id': 'm', device: 'disk0', target: 't', sync: 'full' }],
      wait('m', 'ready'),
      ['block-job-cancel', { device: 'm' }],
      wait('m', 'gone'),
      ...queries.slice(0, 2),
    ],
  },
  {
    title: 'a null node of less than nothing kills QEMU',
    disks: 1,
    lines: [add({ driver: 'null-co', 'node-name': 'n', size: -1 })],
  },
];
