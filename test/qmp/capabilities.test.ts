import { expect, test } from 'vitest';
import { CAPABILITIES, readCapabilities } from '../../src/qmp/capabilities.ts';
import { openQmpClient, type QmpClient } from '../../src/qmp/client.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { FakeQemu, Refusal } from './fake-qemu.ts';

const member = (name: string, type: string) => ({ name, type });
const command = (name: string, type: string) => ({
  name,
  'meta-type': 'command',
  'arg-type': type,
  'ret-type': '0',
});
const object = (name: string, members: Json[], cases?: readonly string[]) => ({
  name,
  'meta-type': 'object',
  members,
  ...(cases ? { tag: 'type', variants: cases.map(each => ({ case: each, type: '0' })) } : {}),
});

/** The shape of a schema as QEMU sends it, cut to what is asked about; 5.2 lacks what is marked. */
function schemaLike(version: '5.2' | '7.2'): Json {
  const modern = version === '7.2';
  return [
    object('0', []),
    command('transaction', '1'),
    object('1', [member('actions', '[2]')]),
    { name: '[2]', 'meta-type': 'array', 'element-type': '2' },
    object(
      '2',
      [member('type', 'str')],
      [
        'abort',
        'block-dirty-bitmap-add',
        'block-dirty-bitmap-merge',
        'blockdev-snapshot',
        'blockdev-snapshot-sync',
      ],
    ),
    command('block-dirty-bitmap-add', '8'),
    object('8', [member('node', 'str'), member('persistent', 'bool')]),
    { ...command('blockdev-snapshot', '0'), features: ['allow-write-only-overlay'] },
    command('blockdev-add', '3'),
    object('3', [member('driver', 'str')], ['file', 'qcow2', 'throttle']),
    { name: '[3]', 'meta-type': 'array', 'element-type': '3' },
    command('blockdev-create', '0'),
    command('blockdev-mirror', '4'),
    object('4', [
      member('device', 'str'),
      member('auto-finalize', 'bool'),
      member('auto-dismiss', 'bool'),
      member('copy-mode', 'str'),
    ]),
    command('drive-mirror', '7'),
    object('7', [member('job-id', 'str'), member('device', 'str')]),
    command('block-stream', '9'),
    command('block-commit', '9'),
    object('9', [member('device', 'str'), member('backing-file', 'str')]),
    command('block-job-pause', '0'),
    command('job-complete', '0'),
    command('query-jobs', '0'),
    ...(modern
      ? [command('blockdev-reopen', '5'), object('5', [member('options', '[3]')])]
      : [command('x-blockdev-reopen', '3')]),
    command('object-add', '6'),
    modern
      ? object('6', [member('qom-type', 'str')], ['throttle-group', 'iothread'])
      : object('6', [member('qom-type', 'str')]),
  ] as unknown as Json;
}

function clientFor(answers: { readonly [command: string]: Json }): Promise<QmpClient> {
  const fake = new FakeQemu(
    ({ execute }) =>
      answers[execute] ?? new Refusal(`The command ${execute} has not been found`, 'CommandNotFound'),
  );
  return openQmpClient(fake.connect);
}

test('a modern schema has everything but what came later', async () => {
  const client = await clientFor({ 'query-qmp-schema': schemaLike('7.2') });
  const { names } = await readCapabilities(client);
  const later = new Set(['block-job-change', 'backing-mask-protocol']);
  expect(names).toEqual(CAPABILITIES.filter(name => !later.has(name)));
});

test('the one-node x-blockdev-reopen is not blockdev-reopen, and 5.2 finds throttle-group among its types', async () => {
  const client = await clientFor({
    'query-qmp-schema': schemaLike('5.2'),
    'qom-list-types': [{ name: 'throttle-group' }],
  });
  const capabilities = await readCapabilities(client);
  expect(capabilities.has('blockdev-reopen')).toBe(false);
  expect(capabilities.has('throttle-group')).toBe(true);
  expect(capabilities.has('manual-finalize')).toBe(true);
});

test('a blockdev-reopen that takes no list is not the one that switches all or none', async () => {
  const schema = [command('blockdev-reopen', '5'), object('5', [member('options', '6')]), object('6', [])];
  const client = await clientFor({ 'query-qmp-schema': schema, 'qom-list-types': [] });
  expect((await readCapabilities(client)).names).toEqual([]);
});

test('without takes names away, and refuses a name that it does not know', async () => {
  const client = await clientFor({ 'query-qmp-schema': schemaLike('7.2') });
  const capabilities = await readCapabilities(client, ['transaction', 'copy-mode']);
  expect(capabilities.has('transaction')).toBe(false);
  expect(capabilities.has('copy-mode')).toBe(false);
  expect(capabilities.has('blockdev-snapshot')).toBe(true);
  await expect(readCapabilities(client, ['teleport'])).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
    message: expect.stringContaining('blockdev-reopen'),
  });
});

test('a QEMU without a schema is asked for its commands', async () => {
  const client = await clientFor({
    'query-commands': ['transaction', 'drive-mirror', 'blockdev-snapshot-sync', 'blockdev-snapshot'].map(
      name => ({ name }),
    ),
  });
  expect((await readCapabilities(client)).names).toEqual([
    'blockdev-snapshot-sync',
    'drive-mirror',
    'transaction',
  ]);
});

test('without a schema, what came with QEMU 2.0 is known by a command that came with it', async () => {
  const answering = (...commands: readonly string[]) =>
    clientFor({ 'query-commands': commands.map(name => ({ name })) });
  const older = await readCapabilities(await answering('block-commit'));
  expect(older.names).toEqual(['block-commit']);
  const newer = await readCapabilities(await answering('block-commit', 'query-named-block-nodes'));
  expect(newer.names).toEqual(['active-commit', 'block-commit']);
});

test('any other failure of the query is passed on', async () => {
  const fake = new FakeQemu(() => new Refusal('out of memory'));
  const client = await openQmpClient(fake.connect);
  await expect(readCapabilities(client)).rejects.toMatchObject({ code: 'QMP_COMMAND' });
});
