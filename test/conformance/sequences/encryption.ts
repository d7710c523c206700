/**
 * Encrypted images: secrets, and qcow2 images that are made, opened and put above others with them. A key is strengthened for some
 * milliseconds, no more than QEMU needs to measure how fast it is.
 */

import type { Message } from '../../sim/raw-session.ts';
import { create, guest, onNode, SIZE, wait } from '../lines.ts';
import type { Sequence, SequenceLine } from '../sequence.ts';

const secret = (id: string, more: Message = { data: `pass of ${id}` }): SequenceLine => [
  'object-add',
  { 'qom-type': 'secret', id, ...more },
];
const luks = (id: string): Message => ({ format: 'luks', 'key-secret': id });
const strength = { 'iter-time': 20 };
const file = (name: string): readonly SequenceLine[] => [
  ...create({ driver: 'file', filename: `DIR/${name}.qcow2`, size: 0 }),
  ['blockdev-add', { driver: 'file', 'node-name': `${name}-file`, filename: `DIR/${name}.qcow2` }],
];
const format = (name: string, encrypt: Message, more: Message = {}): readonly SequenceLine[] =>
  create({ driver: 'qcow2', file: `${name}-file`, size: SIZE, encrypt, ...more });
const open = (name: string, more: Message = {}): SequenceLine => [
  'blockdev-add',
  { driver: 'qcow2', 'node-name': name, file: `${name}-file`, ...more },
];
/** What the guest has written is on the mirror's target, which is in front of the disk then. */
const mirroredTo = (target: string): readonly SequenceLine[] => [
  guest('write -P 5 0 128k'),
  ['blockdev-mirror', { 'job-id': 'm', device: 'disk0', target, sync: 'full' }],
  wait('m', 'ready'),
  ['block-job-complete', { device: 'm' }],
  wait('m', 'gone'),
  guest('read -P 5 0 128k'),
  ['query-block'],
];
const nodes: SequenceLine = ['query-named-block-nodes', { flat: true }];

const LUKS_ALONE = {
  title: 'an image of LUKS alone',
  mirrored: 'an image of LUKS alone, to which a disk is mirrored',
  lines: [
    secret('s0'),
    secret('s1'),
    ...file('l'),
    ...create({ driver: 'luks', file: 'l-file', size: SIZE, ...strength }),
    ...create({ driver: 'luks', file: 'l-file', size: SIZE, 'key-secret': 'nope', ...strength }),
    ['blockdev-add', { driver: 'luks', 'node-name': 'l', file: 'l-file', 'key-secret': 's0' }],
    ...create({ driver: 'luks', file: 'l-file', size: SIZE, 'key-secret': 's0', ...strength }),
    ['blockdev-add', { driver: 'luks', 'node-name': 'l', file: 'l-file' }],
    ['blockdev-add', { driver: 'luks', 'node-name': 'l', file: 'l-file', 'key-secret': 's1' }],
    ['blockdev-add', { driver: 'luks', 'node-name': 'l', file: 'l-file', 'key-secret': 's0' }],
    nodes,
    onNode('l', 'write -P 5 0 128k'),
    onNode('l', 'read -P 5 0 128k'),
    ['x-debug-query-block-graph'],
  ],
} as const satisfies { readonly [member: string]: string | readonly SequenceLine[] };

export const ENCRYPTION: readonly Sequence[] = [
  {
    title: 'secrets',
    lines: [
      secret('s0'),
      secret('s0'),
      secret('s1', {}),
      secret('s1', { data: 'a', file: '/nowhere' }),
      secret('s1', { file: '/nowhere' }),
      secret('s1', { data: '!', format: 'base64' }),
      secret('s1', { data: 'YWI=', format: 'base64' }),
      secret('s2', { data: 5 }),
      secret('s2', { data: 'a', format: 'nope' }),
      ['object-add', { 'qom-type': 'throttle-group', id: 's0' }],
      ['object-del', { id: 's1' }],
      ['qom-list', { path: '/objects' }],
      ['object-del', { id: 's0' }],
      ['object-del', { id: 's0' }],
      ['qom-list', { path: '/objects' }],
    ],
  },
  {
    title:
      'an encrypted image is made, opened, read, and has an overlay by blockdev-snapshot-sync, in the clear',
    lines: [
      secret('s0'),
      secret('s1'),
      ...file('e'),
      ...format('e', { format: 'luks', ...strength }),
      ...format('e', { ...luks('nope'), ...strength }),
      ...format('e', { ...luks('s0'), ...strength }),
      open('e'),
      open('e', { encrypt: { format: 'luks' } }),
      open('e', { encrypt: luks('nope') }),
      open('e', { encrypt: luks('s1') }),
      open('e', { encrypt: { format: 'aes', 'key-secret': 's0' } }),
      open('e', { encrypt: luks('s0') }),
      nodes,
      ['query-named-block-nodes'],
      ['query-block'],
      onNode('e', 'write -P 7 0 64k'),
      onNode('e', 'read -P 7 0 64k'),
      onNode('e', 'read -P 0 64k 64k'),
      [
        'blockdev-snapshot-sync',
        {
          'node-name': 'e',
          'snapshot-file': 'DIR/over.qcow2',
          'snapshot-node-name': 'over',
          format: 'qcow2',
        },
      ],
      nodes,
      ['query-named-block-nodes'],
      ['object-del', { id: 's0' }],
      nodes,
      ['blockdev-del', { 'node-name': 'e' }],
      ['blockdev-del', { 'node-name': 'over' }],
      ['blockdev-del', { 'node-name': 'e' }],
      open('e', { encrypt: luks('s0') }),
    ],
  },
  {
    title: 'an image in the clear takes no secret',
    lines: [
      secret('s0'),
      ...file('p'),
      ...create({ driver: 'qcow2', file: 'p-file', size: SIZE }),
      open('p', { encrypt: luks('s0') }),
      open('p', { encrypt: luks('nope') }),
      open('p'),
      nodes,
    ],
  },
  {
    title: 'an encrypted image in front of one in the clear, by a mirror and as an overlay',
    lines: [
      secret('s0'),
      ...['t', 'o'].flatMap(name => [
        ...file(name),
        ...format(name, { ...luks('s0'), ...strength }),
        open(name, { encrypt: luks('s0'), backing: null }),
      ]),
      ...mirroredTo('t'),
      ['blockdev-snapshot', { node: 't', overlay: 'o' }],
      guest('write -P 6 64k 64k'),
      guest('read -P 5 0 64k'),
      ['query-block'],
      nodes,
      ['block-commit', { 'job-id': 'c', device: 'o', 'auto-finalize': true }],
      wait('c', 'ready'),
      ['block-job-complete', { device: 'c' }],
      wait('c', 'gone'),
      guest('read -P 6 64k 64k'),
      ['query-block'],
    ],
  },
  {
    title: LUKS_ALONE.title,
    begins: LUKS_ALONE.mirrored,
    lines: LUKS_ALONE.lines,
  },
  {
    title: LUKS_ALONE.mirrored,
    without: ['11.1'],
    lines: [...LUKS_ALONE.lines, ...mirroredTo('l'), ['x-debug-query-block-graph']],
  },
];
