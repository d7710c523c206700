/** Scripts about sizes and other values that QEMU refuses before it looks at anything else, for QEMU and the simulator to answer alike. */

import type { Line } from './agreement.ts';
import type { Message } from './raw-session.ts';
import type { Script } from './sequences.ts';

const create = (options: Message): readonly Line[] => [
  ['blockdev-create', { 'job-id': 'k', options }],
  { wait: 'k', until: 'concluded' },
  ['query-jobs'],
  ['job-dismiss', { id: 'k' }],
];
const mirror = (more: Message): Line => [
  'blockdev-mirror',
  { device: 'nope', target: 'x', sync: 'full', ...more },
];

const [PAST_UINT32, PAST_INT64] = [2 ** 32, 1e19];

export const VALUE_SCRIPTS: readonly Script[] = [
  {
    title: 'sizes that are no whole number of sectors',
    disks: 1,
    lines: [
      ...create({ driver: 'file', filename: 'DIR/a', size: 1000 }),
      ['blockdev-add', { driver: 'file', 'node-name': 'af', filename: 'DIR/a' }],
      ['blockdev-add', { driver: 'raw', 'node-name': 'a', file: 'af' }],
      ['query-named-block-nodes'],
      ...create({ driver: 'qcow2', file: 'af', size: 1000 }),
      ...create({ driver: 'file', filename: 'DIR/b', size: -1 }),
      ...create({ driver: 'file', filename: 'DIR/nowhere/b', size: 512 }),
    ],
  },
  {
    title: 'a value that is too large comes before a name that there is not',
    disks: 1,
    lines: [
      ['block-job-set-speed', { device: 'nope', speed: PAST_INT64 }],
      ['block-job-set-speed', { device: 'nope', speed: 1.5 }],
      mirror({ granularity: PAST_UINT32 }),
      mirror({ 'buf-size': PAST_INT64 }),
      ['block-dirty-bitmap-add', { node: 'nope', name: 'x', granularity: PAST_UINT32 }],
      ['block-dirty-bitmap-add', { node: 'disk0', name: 'x', granularity: PAST_UINT32 - 1 }],
      ['block_resize', { 'node-name': 'nope', size: PAST_INT64 }],
      ['block_resize', { 'node-name': 'disk0', size: -5 }],
    ],
  },
];
