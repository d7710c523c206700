/**
 * What is tortured: the requests of every kind that have a way of their own through QEMU, some with a command bent on the
 * wire so that QEMU refuses it and the saga has to take back what it did. Plain data; nothing here runs anything.
 */
import { BlocksagaError } from '../../src/errors.ts';
import { type Bend, DISKS, type Operation } from './operation.ts';

type Strategy = 'reopen' | 'finalize' | 'complete';
type More = Partial<Operation>;

const pivot = (name: string, strategy: Strategy, more: More = {}): Operation => ({
  name,
  guest: {},
  request: { operation: 'copy', options: { strategy } },
  committed: 'newImage',
  ...more,
});

/** The copies stand on the lowest images; what lies between is drawn into them first. */
const onBase = (name: string, more: More = {}): Operation => ({
  ...pivot(name, 'reopen'),
  guest: { overlays: 2 },
  wish: { base: '[2]' },
  committed: 'newOnLowest',
  ...more,
});

const finish = (name: 'clone' | 'abort' | 'leave'): Operation => ({
  name,
  guest: {},
  request: { operation: 'copy', options: { finish: name } },
  committed: name === 'leave' ? 'newImage' : 'same',
  goesBack: name === 'abort',
});

/** A snapshot by the method that is left when QEMU is said to lack some commands. */
const snapshot = (name: string, without: readonly string[], more: More = {}): Operation => ({
  name,
  guest: {},
  request: { operation: 'snapshot', options: { without: [...without] } },
  committed: 'overlay',
  ...more,
});

/** Active images go into the ones below them, and the guest is switched over. */
const commit = (strategy: Strategy, name = `commit-${strategy}`, more: More = {}): Operation => ({
  name,
  guest: { backing: true, style: 'drive' },
  request: { operation: 'commit', options: { active: true, strategy } },
  committed: 'lowest',
  ...more,
});

/** The images between go into the lowest ones; the active ones stay. */
const commitBelow = (name: string, more: More = {}): Operation => ({
  name,
  guest: chained,
  request: { operation: 'commit', options: { delete: true } },
  wish: { top: '[1]' },
  committed: 'frontOnLowest',
  ...more,
});

/** What is between goes into the active images, down to one that stays. */
const pullDown = (name: string, more: More = {}): Operation => ({
  name,
  guest: chained,
  request: { operation: 'pull', options: {} },
  wish: { base: '[2]' },
  committed: 'frontOnLowest',
  ...more,
});

/** One disk, or so many as `more` says, whose jobs QEMU is said not to hold back. */
const atOnce = (operation: 'commit' | 'pull', name: string, more: More = {}): Operation => ({
  ...(operation === 'commit' ? commitBelow(name) : pullDown(name)),
  request: { operation, options: { without: ['manual-finalize'] } },
  disks: 1,
  ...more,
});

/** A paused guest goes back to the images below its active ones. */
const revert = (name: string, more: More = {}): Operation => ({
  name,
  guest: { overlays: 1, rests: 'stopped' },
  request: { operation: 'revert', options: {} },
  committed: 'newFront',
  ...more,
});

/** A snapshot whose overlays are mirrored, and what it is told at READY. */
const mirrored = (name: string, strategy: Strategy, more: More = {}): Operation => ({
  name,
  guest: {},
  request: { operation: 'snapshot', options: { strategy } },
  mirrors: 'shared',
  committed: 'mirror',
  orElse: 'overlay',
  ...more,
});

/** Images that no QEMU has open. */
const offline = (name: string, more: More = {}): Operation => ({
  name,
  guest: { overlays: 2, rests: 'ended' },
  request: { operation: 'commitOffline', options: {} },
  committed: 'lowest',
  ...more,
});

const bend = (commands: string | readonly string[], nth: number, ...path: (string | number)[]): Bend => ({
  commands: [commands].flat(),
  nth,
  path,
});
/** So often that the process in which it is bent cannot continue. */
const strandedBy = (command: string, nth: number, path: string): More => ({
  bend: { ...bend(command, nth, path), onward: true },
  strands: true,
});
const chained = { overlays: 2 } as const;
const drive = { guest: { style: 'drive' } } as const;
const iothreads = { guest: { iothreads: true } } as const;
const secondComplete = { bend: bend(['job-complete', 'block-job-complete'], 2, 'id') };
const secondFinalize = { bend: bend('job-finalize', 2, 'id') };
/** The look at the guest right in front of the switch, which takes place and has to be taken back. */
const lookAtSwitch = { bend: bend('query-status', 6) };
const thirdReopened = { bend: bend('blockdev-reopen', 1, 'options', 2, 'file') };
/** Short, so that a pause in which the mirrors do not come clean is soon given up. */
const SHORT = { maxBlackoutMs: 300 } as const;

const COPIES: readonly Operation[] = [
  pivot('reopen', 'reopen'),
  pivot('reopen+drive', 'reopen', drive),
  pivot('reopen+refused', 'reopen', thirdReopened),
  pivot('reopen+takenBack', 'reopen', { guest: { style: 'drive' }, ...lookAtSwitch }),
  pivot('reopen+filterRefused', 'reopen', { bend: bend('qom-set', 2, 'value') }),
  pivot('reopen+iothreads', 'reopen', iothreads),
  pivot('reopen+shallow', 'reopen', {
    guest: { overlays: 1 },
    wish: { shallow: true },
    tells: true,
    committed: 'newFront',
  }),
  pivot('reopen+stranded', 'reopen', { like: ['reopen'], ...strandedBy('qom-set', 4, 'value') }),
  pivot('reopen+backing-off', 'reopen', {
    like: ['reopen'],
    request: { operation: 'copy', options: { strategy: 'reopen', ...SHORT } },
    lagsOnce: true,
  }),
  onBase('on-base'),
  onBase('on-base+refused', { like: ['on-base'], ...thirdReopened }),
  pivot('finalize', 'finalize'),
  pivot('finalize+iothreads', 'finalize', iothreads),
  pivot('finalize+refused', 'finalize', secondFinalize),
  pivot('finalize+drive+refused', 'finalize', { ...drive, ...secondFinalize }),
  pivot('complete', 'complete'),
  pivot('complete+refused', 'complete', secondComplete),
  finish('clone'),
  finish('abort'),
  finish('leave'),
  { ...finish('leave'), name: 'leave-keep', like: ['leave'], whenReady: 'keepCopies', committed: 'same' },
];

const MERGES: readonly Operation[] = [
  commit('reopen'),
  commit('reopen', 'commit-reopen+refused', thirdReopened),
  commit('finalize'),
  commit('finalize', 'commit-finalize+refused', secondFinalize),
  commit('complete'),
  commit('complete', 'commit-complete+refused', { like: ['commit-complete'], ...secondComplete }),
  commit('complete', 'commit-overtaken', {
    like: ['commit-complete'],
    guest: { overlays: 1 },
    overtaken: true,
  }),
  commit('reopen', 'commit-shallow+delete', {
    guest: chained,
    request: {
      operation: 'commit',
      options: { active: true, strategy: 'reopen', shallow: true, delete: true },
    },
    tells: true,
    committed: 'below',
  }),
  commit('finalize', 'commit-finalize+iothreads', {
    like: ['commit-finalize'],
    guest: { overlays: 1, iothreads: true },
  }),
  commit('reopen', 'commit-leave', {
    like: ['commit-reopen'],
    guest: { overlays: 1 },
    request: { operation: 'commit', options: { active: true, strategy: 'reopen', finish: 'leave' } },
  }),
  commit('finalize', 'commit-stranded', {
    like: ['commit-finalize'],
    ...strandedBy('object-del', 1, 'id'),
  }),
  commit('reopen', 'commit-backing-off', {
    like: ['commit-reopen'],
    guest: { overlays: 1 },
    request: { operation: 'commit', options: { active: true, strategy: 'reopen', ...SHORT } },
    lagsOnce: true,
  }),
  commitBelow('commit-below+delete', { tells: true }),
  commitBelow('commit-below+refused', {
    like: ['commit-below+delete'],
    bend: bend('block-commit', 2, 'top-node'),
  }),
  atOnce('commit', 'commit-at-once+refused', { bend: bend('block-commit', 1, 'device') }),
  atOnce('commit', 'commit-at-once+rest', { disks: DISKS }),
  {
    name: 'pull',
    guest: { backing: true, style: 'drive' },
    request: { operation: 'pull', options: {} },
    committed: 'flat',
  },
  pullDown('pull-down', { tells: true }),
  pullDown('pull-down+refused', { like: ['pull-down'], bend: bend('block-stream', 2, 'device') }),
  pullDown('pull-down+stranded', { like: ['pull-down'], ...strandedBy('object-del', 1, 'id') }),
  atOnce('pull', 'pull-at-once'),
  atOnce('pull', 'pull-at-once+rest', { disks: DISKS }),
  offline('commit-offline'),
  offline('commit-offline-below+delete', {
    request: { operation: 'commitOffline', options: { delete: true } },
    wish: { top: '[1]' },
    committed: 'frontOnLowest',
  }),
];

const SNAPSHOTS: readonly Operation[] = [
  snapshot('transaction', []),
  snapshot('transaction+refused', [], { bend: bend('transaction', 1, 'actions', 2, 'data', 'node') }),
  snapshot('transactionSync', ['blockdev-create']),
  snapshot('transactionSync+refused', ['blockdev-create'], {
    bend: bend('transaction', 1, 'actions', 2, 'data', 'node-name'),
  }),
  snapshot('transaction+quiesce', [], { quiesces: true }),
  snapshot('transaction+quiesce+refused', [], {
    like: ['transaction+quiesce'],
    quiesces: true,
    bend: bend('transaction', 1, 'actions', 2, 'data', 'node'),
  }),
  snapshot('transaction+bitmaps', [], { guest: { bitmaps: true }, tells: true }),
  snapshot('transaction+bitmaps+refused', [], {
    like: ['transaction+bitmaps'],
    guest: { bitmaps: true },
    bend: bend('transaction', 1, 'actions', 4, 'data', 'node'),
    tells: true,
  }),
  snapshot('transaction+stranded', [], { like: ['transaction'], ...strandedBy('object-del', 1, 'id') }),
  snapshot('sequential', ['transaction']),
  snapshot('sequential+quiesce', ['transaction'], { quiesces: true }),
  snapshot('sequential+refused', ['transaction'], { bend: bend('blockdev-snapshot-sync', 2, 'node-name') }),
];

const REVERTS: readonly Operation[] = [
  revert('revert'),
  revert('revert+delete', {
    like: ['revert'],
    request: { operation: 'revert', options: { delete: true } },
    tells: true,
  }),
  revert('revert+refused', { like: ['revert'], ...thirdReopened }),
  revert('revert+takenBack', { like: ['revert'], ...lookAtSwitch }),
  revert('revert+stranded', { like: ['revert'], ...strandedBy('qom-set', 4, 'value') }),
];

const MIRRORED: readonly Operation[] = [
  mirrored('mirrored', 'reopen', { tells: true }),
  mirrored('mirrored+refused', 'reopen', { like: ['mirrored'], ...thirdReopened, tells: true }),
  mirrored('mirrored+stranded', 'reopen', { like: ['mirrored'], ...strandedBy('qom-set', 4, 'value') }),
  mirrored('mirrored+backing-off', 'reopen', {
    like: ['mirrored'],
    request: { operation: 'snapshot', options: { strategy: 'reopen', ...SHORT } },
    mirrors: 'ownChain',
    committed: 'mirrorOnCopy',
    lagsOnce: true,
  }),
  mirrored('mirrored-keep', 'reopen', {
    like: ['mirrored'],
    whenReady: 'keepSnapshot',
    tells: true,
    committed: 'overlay',
  }),
  mirrored('mirrored-abort', 'reopen', {
    like: ['mirrored'],
    whenReady: 'abort',
    tells: true,
    goesBack: true,
  }),
  mirrored('mirrored-finalize+iothreads', 'finalize', { like: ['mirrored'], ...iothreads }),
  mirrored('mirrored-finalize+refused', 'finalize', {
    like: ['mirrored-finalize+iothreads', 'mirrored+refused'],
    ...secondFinalize,
  }),
  mirrored('mirrored-complete+refused', 'complete', {
    like: ['mirrored', 'mirrored+refused'],
    ...secondComplete,
  }),
  mirrored('mirrored+quiesce', 'complete', {
    like: ['mirrored'],
    request: { operation: 'snapshot', options: { strategy: 'complete', without: ['blockdev-snapshot'] } },
    quiesces: true,
  }),
  mirrored('mirrored-sync+refused', 'reopen', {
    like: ['mirrored+quiesce', 'mirrored+refused'],
    request: { operation: 'snapshot', options: { strategy: 'reopen', without: ['blockdev-snapshot'] } },
    quiesces: true,
    ...thirdReopened,
  }),
  mirrored('mirrored-own-chain', 'finalize', { mirrors: 'ownChain', committed: 'mirrorOnCopy' }),
];

/** All that is tortured, by name. */
export const OPERATIONS: readonly Operation[] = [...COPIES, ...MERGES, ...SNAPSHOTS, ...REVERTS, ...MIRRORED];

/** The operation of this name. Throws `REQUEST_INVALID` with the names that there are. */
export function operationNamed(name: string): Operation {
  const found = OPERATIONS.find(operation => operation.name === name);
  if (found !== undefined) return found;
  const names = OPERATIONS.map(operation => operation.name).join(', ');
  throw new BlocksagaError('REQUEST_INVALID', `no operation "${name}" to torture; there are ${names}`);
}
