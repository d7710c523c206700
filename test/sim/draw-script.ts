/** Random scripts over a small world of names, so that commands meet each other's effects often. */

import fc from 'fast-check';
import type { Line } from './agreement.ts';
import type { Message } from './raw-session.ts';
import { image } from './sequences.ts';

const SIZE = 67_108_864;
const nodes = ['disk0', 'disk1', 't', 'u', 'o', 'p', 'F', 'H', 's', 'disk0-file', 't-file'];
const node = fc.constantFrom(...nodes);
const disk = fc.constantFrom('disk0', 'disk1', 'o', 'F', 't');
const target = fc.constantFrom('t', 'u', 'disk0', 'disk1', 'o');
const overlay = fc.constantFrom('o', 'p', 't');
const job = fc.constantFrom('m', 'n');
const device = fc.constantFrom('dev0', 'dev1');
const flag = fc.boolean();

function command(name: string, args: fc.Arbitrary<Message>): fc.Arbitrary<Line> {
  return args.map(drawn => [name, drawn] as const);
}

const reopenEntry: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    driver: fc.constant('throttle'),
    'node-name': fc.constantFrom('F', 'H'),
    'throttle-group': fc.constant('G'),
    file: node,
  }),
  fc
    .record({
      name: fc.constantFrom('disk0', 'o', 't', 'p'),
      readOnly: flag,
      backing: fc.option(fc.constantFrom('disk0', 'disk1', 't', 'o', 'F', 'nope'), { nil: null }),
    })
    .map(({ name, readOnly, backing }) => ({
      driver: 'qcow2',
      'node-name': name,
      file: `${name}-file`,
      'read-only': readOnly,
      backing,
    })),
);

const snapshotData = fc.record({ node: disk, overlay });
const manual = { 'auto-finalize': flag, 'auto-dismiss': flag };

/** One command over the names of this world, in the right form; whether QEMU takes it is open. */
export const anyCommand: fc.Arbitrary<Line> = fc.oneof(
  {
    weight: 5,
    arbitrary: command(
      'blockdev-mirror',
      fc.record({
        'job-id': job,
        device: disk,
        target,
        sync: fc.constantFrom('full', 'top', 'none'),
        ...manual,
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: command(
      'blockdev-mirror',
      fc.record({
        'job-id': job,
        device: disk,
        target,
        replaces: node,
        sync: fc.constant('full'),
        ...manual,
      }),
    ),
  },
  { weight: 3, arbitrary: command('block-commit', fc.record({ 'job-id': job, device: disk, ...manual })) },
  {
    weight: 2,
    arbitrary: command(
      'block-commit',
      fc.record({ 'job-id': job, device: disk, 'top-node': node, 'base-node': node, ...manual }),
    ),
  },
  { weight: 2, arbitrary: command('block-stream', fc.record({ 'job-id': job, device: disk, ...manual })) },
  {
    weight: 2,
    arbitrary: command(
      'blockdev-backup',
      fc.record({
        'job-id': job,
        device: disk,
        target,
        sync: fc.constantFrom('full', 'top'),
        ...manual,
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: command('block-stream', fc.record({ 'job-id': job, device: disk, 'base-node': node })),
  },
  { weight: 4, arbitrary: command('job-complete', fc.record({ id: job })) },
  { weight: 3, arbitrary: command('job-finalize', fc.record({ id: job })) },
  { weight: 2, arbitrary: command('job-cancel', fc.record({ id: job })) },
  { weight: 2, arbitrary: command('block-job-cancel', fc.record({ device: job })) },
  { weight: 3, arbitrary: command('job-dismiss', fc.record({ id: job })) },
  { weight: 3, arbitrary: command('blockdev-snapshot', snapshotData) },
  {
    weight: 2,
    arbitrary: fc
      .array(snapshotData, { minLength: 1, maxLength: 3 })
      .map(
        list =>
          ['transaction', { actions: list.map(data => ({ type: 'blockdev-snapshot', data })) }] as const,
      ),
  },
  {
    weight: 1,
    arbitrary: command(
      'blockdev-snapshot-sync',
      fc.record({
        'node-name': disk,
        'snapshot-file': fc.constant('DIR/s'),
        'snapshot-node-name': fc.constant('s'),
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: command(
      'blockdev-add',
      fc.record({
        driver: fc.constant('throttle'),
        'node-name': fc.constantFrom('F', 'H'),
        'throttle-group': fc.constant('G'),
        file: node,
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: command(
      'blockdev-reopen',
      fc.array(reopenEntry, { minLength: 1, maxLength: 3 }).map(options => ({ options })),
    ),
  },
  {
    weight: 3,
    arbitrary: command('qom-set', fc.record({ path: device, property: fc.constant('drive'), value: node })),
  },
  { weight: 3, arbitrary: command('blockdev-del', fc.record({ 'node-name': node })) },
  { weight: 1, arbitrary: fc.constantFrom<Line>(['stop'], ['cont']) },
  {
    weight: 1,
    arbitrary: command(
      'block-export-add',
      fc.record({ type: fc.constant('nbd'), id: fc.constant('e'), 'node-name': node, writable: flag }),
    ),
  },
  { weight: 1, arbitrary: fc.constant<Line>(['block-export-del', { id: 'e' }]) },
  { weight: 1, arbitrary: command('block-dirty-bitmap-add', fc.record({ node, name: fc.constant('b') })) },
  { weight: 1, arbitrary: command('object-del', fc.constant({ id: 'G' })) },
);

/** Four images beside the disks, a throttle group and an NBD server. */
export const PREPARATION: readonly Line[] = [
  ...image('t'),
  ...image('u', {}, SIZE),
  ...image('o', { backing: null }),
  ...image('p', { backing: null }),
  ['object-add', { 'qom-type': 'throttle-group', id: 'G' }],
  ['nbd-server-start', { addr: { type: 'unix', data: { path: 'DIR/nbd' } } }],
];

/** Up to `most` random commands; after each one all jobs come to rest, so that no timing is compared. */
export function drawScript(most: number): fc.Arbitrary<readonly Line[]> {
  return fc
    .array(anyCommand, { minLength: 3, maxLength: most })
    .map(drawn => [
      ...PREPARATION,
      ...drawn.flatMap((line): Line[] => [line, { settle: true }, ['query-block'], ['query-jobs']]),
      ['query-block-exports'],
    ]);
}
