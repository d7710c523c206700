/** Lines that many sequences have: images that are made, writes of the guest, jobs that are followed to their end. */

import type { Message } from '../sim/raw-session.ts';
import type { SequenceLine } from './sequence.ts';

export const SIZE = 67_108_864;

export const MANUAL = { 'auto-finalize': false, 'auto-dismiss': false } as const;

export const dismiss = (id: string): SequenceLine => ['job-dismiss', { id }];
export const wait = (job: string, until: string): SequenceLine => ({ wait: job, until });

/** Creates, and waits for the end. */
export const create = (options: Message): readonly SequenceLine[] => [
  ['blockdev-create', { 'job-id': 'k', options }],
  wait('k', 'concluded'),
  ['query-jobs'],
  dismiss('k'),
];

/** A qcow2 image that is open as `name`. */
export const image = (name: string, more: Message = {}, size = SIZE): readonly SequenceLine[] => [
  ...create({ driver: 'file', filename: `DIR/${name}.qcow2`, size: 0 }),
  ['blockdev-add', { driver: 'file', 'node-name': `${name}-file`, filename: `DIR/${name}.qcow2` }],
  ...create({ driver: 'qcow2', file: `${name}-file`, size }),
  ['blockdev-add', { driver: 'qcow2', 'node-name': name, file: `${name}-file`, ...more }],
];

/** What the guest's device does, or a node. */
export const guest = (command: string, device = 0): SequenceLine => [
  'human-monitor-command',
  { 'command-line': `qemu-io -d /machine/peripheral/dev${device}/virtio-backend "${command}"` },
];
export const onNode = (node: string, command: string): SequenceLine => [
  'human-monitor-command',
  { 'command-line': `qemu-io ${node} "${command}"` },
];

export const queries: readonly SequenceLine[] = [
  ['query-block'],
  ['query-named-block-nodes'],
  ['query-jobs'],
  ['query-block-jobs'],
];

export const ended = (id: string): readonly SequenceLine[] => [
  ['job-finalize', { id }],
  wait(id, 'concluded'),
  ['query-jobs'],
  dismiss(id),
];
