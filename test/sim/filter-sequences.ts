/** Scripts about disks below filters of their administrator, which real QEMU and the simulator must answer alike. */
import type { Line } from './agreement.ts';
import type { Message } from './raw-session.ts';
import { image, type Script } from './sequences.ts';

const DEV0 = '/machine/peripheral/dev0/virtio-backend';

const wait = (job: string, until: string): Line => ({ wait: job, until });
const group: Line = ['object-add', { 'qom-type': 'throttle-group', id: 'G' }];
const throttle = (name: string, file: string | Message): Line => [
  'blockdev-add',
  { driver: 'throttle', 'node-name': name, 'throttle-group': 'G', file },
];
const copyOnRead = (name: string, file: string): Line => [
  'blockdev-add',
  { driver: 'copy-on-read', 'node-name': name, file },
];
const setDrive = (value: string): Line => ['qom-set', { path: DEV0, property: 'drive', value }];
const qemuIo = (rest: string): Line => ['human-monitor-command', { 'command-line': `qemu-io ${rest}` }];
const queries: Line[] = [
  ['query-block'],
  ['query-named-block-nodes', { flat: true }],
  ['query-named-block-nodes'],
  ['query-jobs'],
];

/** A device on filters; `top` is what it is on. */
interface Layout {
  readonly what: string;
  readonly top: string;
  readonly lines: readonly Line[];
}

const LAYOUTS: readonly Layout[] = [
  { what: 'a throttle', top: 'F', lines: [group, throttle('F', 'disk0')] },
  { what: 'copy-on-read', top: 'C', lines: [copyOnRead('C', 'disk0')] },
  {
    what: 'copy-on-read above a throttle',
    top: 'C',
    lines: [group, throttle('F', 'disk0'), copyOnRead('C', 'F')],
  },
  {
    what: 'a throttle above copy-on-read',
    top: 'F',
    lines: [group, copyOnRead('C', 'disk0'), throttle('F', 'C')],
  },
];

/** The device is put on its filters, and the guest's disk holds something in each of its images. */
const begin = ({ lines, top }: Layout): readonly Line[] => [
  qemuIo(`disk0 "write -P 3 0 64k"`),
  ['stop'],
  ...lines,
  setDrive(top),
  ['cont'],
  ...queries,
];

const held = { 'auto-finalize': false, 'auto-dismiss': false } as const;
const mirror = (id: string, device: string, target: string, more: Message = {}): Line => [
  'blockdev-mirror',
  { 'job-id': id, device, target, sync: 'full', ...held, ...more },
];
/** A mirror that is held is completed, finalized and dismissed. */
const finish = (id: string): readonly Line[] => [
  wait(id, 'ready'),
  ...queries,
  ['stop'],
  ['job-complete', { id }],
  wait(id, 'pending'),
  ['job-finalize', { id }],
  wait(id, 'concluded'),
  ['job-dismiss', { id }],
  ...queries,
];
const reopen = (options: Message): Line => ['blockdev-reopen', { options: [options] }];

/** As Proxmox VE 9 starts a disk: the nodes below the throttle are options of its own. */
const TREE: readonly Line[] = [
  group,
  ...image('x'),
  ['blockdev-del', { 'node-name': 'x' }],
  ['blockdev-del', { 'node-name': 'x-file' }],
  throttle('F', {
    driver: 'qcow2',
    'node-name': 'e',
    file: { driver: 'file', 'node-name': 'e-file', filename: 'DIR/x.qcow2' },
  }),
  setDrive('F'),
  ['cont'],
  ...queries,
];

const TREES: readonly Script[] = [
  {
    title:
      'one tree of nodes: what a mirror replaces in it goes with all below, and comes back under another name',
    disks: 1,
    lines: [
      ['stop'],
      ...TREE,
      ...image('t'),
      mirror('m', 'F', 't', { replaces: 'e' }),
      ...finish('m'),
      ['blockdev-del', { 'node-name': 'e' }],
      ['blockdev-del', { 'node-name': 't' }],
      [
        'blockdev-add',
        { driver: 'qcow2', 'node-name': 'old', file: { driver: 'file', filename: 'DIR/x.qcow2' } },
      ],
      mirror('b', 'F', 'old', { sync: 'none', replaces: 't' }),
      ...finish('b'),
    ],
  },
  {
    title: 'one tree of nodes: what a reopen leaves goes, and so does what a snapshot is committed into',
    disks: 1,
    lines: [
      ['stop'],
      ...TREE,
      ...image('t'),
      ...image('o', { backing: null }),
      ['blockdev-snapshot', { node: 'e', overlay: 'o' }],
      ...queries,
      ['blockdev-del', { 'node-name': 'e' }],
      ['stop'],
      reopen({ driver: 'throttle', 'node-name': 'F', 'throttle-group': 'G', file: 't' }),
      ...queries,
      ['blockdev-del', { 'node-name': 'o' }],
      ...queries,
    ],
  },
];

export const FILTER_SCRIPTS: readonly Script[] = [...TREES, ...LAYOUTS.flatMap(scriptsOf)];

function scriptsOf(layout: Layout): readonly Script[] {
  const { what, top } = layout;
  return [
    {
      title: `${what}: a mirror replaces the image below and leaves them, and one that is not told to takes them away`,
      disks: 1,
      lines: [
        ...begin(layout),
        ...image('t'),
        mirror('m', 'disk0', 't'),
        mirror('m', top, 't', { replaces: 'disk0-file' }),
        mirror('m', top, 't', { replaces: 'nope' }),
        mirror('m', top, 't', { replaces: 'disk0' }),
        ...finish('m'),
        mirror('b', top, 'disk0', { sync: 'none', replaces: 't' }),
        ...finish('b'),
        mirror('n', top, 't', { sync: 'top' }),
        ...finish('n'),
        ['blockdev-del', { 'node-name': top }],
      ],
    },
    {
      title: `${what}: a mirror that is cancelled softly leaves all as it was, and only a throttle can be reopened`,
      disks: 1,
      lines: [
        ...begin(layout),
        ...image('t'),
        mirror('m', top, 't', { 'auto-finalize': true }),
        wait('m', 'ready'),
        ['stop'],
        ['block-job-cancel', { device: 'm' }],
        wait('m', 'concluded'),
        ['job-dismiss', { id: 'm' }],
        reopen({ driver: 'throttle', 'node-name': 'F', 'throttle-group': 'G', file: 't' }),
        ...queries,
        reopen({ driver: 'throttle', 'node-name': 'F', 'throttle-group': 'G', file: 'disk0' }),
        reopen({ driver: 'copy-on-read', 'node-name': 'C', file: 't' }),
        reopen({ driver: 'throttle', 'node-name': 'F', file: 't' }),
        ...queries,
      ],
    },
    {
      title: `${what}: an overlay goes between, and is committed back by the filter`,
      disks: 1,
      lines: [
        ...begin(layout),
        ...image('o', { backing: null }),
        ...image('p', { backing: null }),
        ['transaction', { actions: [{ type: 'blockdev-snapshot', data: { node: 'disk0', overlay: 'o' } }] }],
        ...queries,
        ['blockdev-snapshot', { node: top, overlay: 'p' }],
        ['query-block'],
        ['block-commit', { 'job-id': 'c', device: 'o', 'base-node': 'disk0', ...held }],
        ['block-commit', { 'job-id': 'c', device: top, 'top-node': 'o', 'base-node': 'disk0', ...held }],
      ],
    },
    {
      title: `${what}: the overlay between is merged into its base, held until it is finalized`,
      disks: 1,
      lines: [
        ...begin(layout),
        ...image('o', { backing: null }),
        ['blockdev-snapshot', { node: 'disk0', overlay: 'o' }],
        qemuIo(`o "write -P 5 64k 64k"`),
        ['block-commit', { 'job-id': 'c', device: top, 'top-node': 'o', 'base-node': 'disk0', ...held }],
        ...finish('c'),
      ],
    },
    {
      title: `${what}: chains below are streamed and committed`,
      disks: 1,
      backingLayers: 2,
      lines: [
        ...begin(layout),
        ['block-stream', { 'job-id': 's', device: top, ...held }],
        ['block-commit', { 'job-id': 'c', device: top, top: 'DIR/disk0-base1.qcow2', ...held }],
        wait('c', 'pending'),
        ...queries,
        ['job-finalize', { id: 'c' }],
        wait('c', 'concluded'),
        ['job-dismiss', { id: 'c' }],
        ...queries,
        ['block-stream', { 'job-id': 's', device: 'disk0', ...held }],
        wait('s', 'pending'),
        ['query-block'],
        ['job-finalize', { id: 's' }],
        wait('s', 'concluded'),
        ['job-dismiss', { id: 's' }],
        ...queries,
      ],
    },
  ];
}
