/**
 * What drawn scripts have found, each made small: real QEMU and the simulator must answer these alike. The seeds are those
 * of `npm run conformance`.
 */

import { PREPARATION } from './draw-script.ts';
import type { Script } from './sequences.ts';

const throttle = (file: string) =>
  ({ driver: 'throttle', 'node-name': 'F', 'throttle-group': 'G', file }) as const;
const settle = { settle: true } as const;
const nodes = [['query-block'], ['query-named-block-nodes'], ['query-jobs']] as const;

export const FOUND: readonly Script[] = [
  {
    title: 'a throttle that was opened over a file keeps its size over a disk (seed 31, case 690)',
    disks: 2,
    lines: [
      ...PREPARATION,
      ['blockdev-add', throttle('t-file')],
      ['blockdev-reopen', { options: [throttle('disk0')] }],
      ...nodes,
      ['blockdev-mirror', { 'job-id': 'm', device: 'F', target: 'u', sync: 'full', 'auto-dismiss': false }],
      settle,
      ['query-jobs'],
    ],
  },
  {
    title: 'the filter of a mirror of a read-only node is not read-only (seed 31, case 906)',
    disks: 1,
    lines: [
      ...PREPARATION,
      [
        'blockdev-reopen',
        { options: [{ driver: 'qcow2', 'node-name': 't', file: 't-file', 'read-only': true }] },
      ],
      ['blockdev-mirror', { 'job-id': 'm', device: 't', target: 'u', sync: 'full', 'auto-dismiss': false }],
      settle,
      ...nodes,
    ],
  },
  {
    title: 'a stream with only filters between node and base is refused (seed 31, case 2954)',
    disks: 1,
    lines: [
      ...PREPARATION,
      ['blockdev-add', throttle('u')],
      ['block-stream', { 'job-id': 's', device: 'F', 'base-node': 'u' }],
      ['block-stream', { 'job-id': 's', device: 'F' }],
      settle,
      ...nodes,
    ],
  },
  {
    title: 'a commit shares reads of a filter over its base (seed 31, case 3278)',
    disks: 1,
    lines: [
      ...PREPARATION,
      ['blockdev-add', throttle('u')],
      ['blockdev-snapshot', { node: 'F', overlay: 'o' }],
      ['block-commit', { 'job-id': 'm', device: 'o', 'auto-dismiss': false }],
      settle,
      ...nodes,
    ],
  },
  {
    title: 'a commit into itself is refused before its id is looked at (seed 31, case 6875)',
    disks: 1,
    lines: [
      ...PREPARATION,
      ['blockdev-mirror', { 'job-id': 'n', device: 'o', target: 'u', sync: 'full' }],
      settle,
      ['blockdev-add', throttle('t')],
      ['block-commit', { 'job-id': 'n', device: 'F' }],
    ],
  },
  {
    title: 'a transaction that is taken back hands earlier users of an overlay to the node below',
    disks: 2,
    lines: [
      ...PREPARATION,
      ['blockdev-reopen', { options: [{ driver: 'qcow2', 'node-name': 'p', file: 'p-file', backing: 'o' }] }],
      [
        'transaction',
        {
          actions: [
            { type: 'blockdev-snapshot', data: { node: 'disk0', overlay: 'o' } },
            { type: 'blockdev-snapshot', data: { node: 'disk1', overlay: 'nope' } },
          ],
        },
      ],
      ...nodes,
    ],
  },
  {
    title: 'a stream from a filter freezes what the filter stands on (seed 34, case 7277)',
    disks: 1,
    lines: [
      ...PREPARATION,
      ['blockdev-add', throttle('o')],
      ['blockdev-reopen', { options: [{ driver: 'qcow2', 'node-name': 'o', file: 'o-file', backing: 'u' }] }],
      ['block-stream', { 'job-id': 's', device: 'F', 'auto-finalize': false }],
      settle,
      ['blockdev-reopen', { options: [throttle('t')] }],
      ...nodes,
    ],
  },
  {
    title:
      'a mirror whose target was such an overlay writes to the node below from then on (seed 34, case 6070)',
    disks: 2,
    lines: [
      ...PREPARATION,
      [
        'blockdev-mirror',
        { 'job-id': 'm', device: 'disk0', target: 'o', sync: 'full', 'auto-dismiss': false },
      ],
      settle,
      [
        'transaction',
        {
          actions: [
            { type: 'blockdev-snapshot', data: { node: 't', overlay: 'o' } },
            { type: 'blockdev-snapshot', data: { node: 'disk1', overlay: 'nope' } },
          ],
        },
      ],
      ['job-complete', { id: 'm' }],
      settle,
      ...nodes,
    ],
  },
];
