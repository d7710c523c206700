/** What callers without types hand in, as bodies of HTTP are: refused as a request that makes no sense, with the field, before anything is done. */
import { expect, test } from 'vitest';
import {
  type CopyRequest,
  createEngine,
  type Engine,
  type EngineOptions,
  memoryJournal,
  type OfflineOptions,
  openJournal,
  recoverOffline,
  type SagaFilter,
} from '../../src/index.ts';
import { type DomainOptions, openDomain, type SnapshotDefinition } from '../../src/libvirt/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { live, rejection, smallSim } from './lives.ts';

const DISKS = [0, 1].map(disk => ({ disk: `dev${disk}`, to: `/images/new${disk}.qcow2` }));
const MEMBER = { disks: [{ disk: 'dev0', overlay: '/images/over0.qcow2' }] };

/** As from a caller without types. */
type Untyped = { readonly [method in keyof Engine]: (...given: unknown[]) => Promise<unknown> };

function guest() {
  const sim = smallSim();
  const { engine, guest: at, journal, sent } = live(sim);
  return { sim, engine, untyped: engine as object as Untyped, at, journal, sent };
}

const WRONG: readonly (readonly [what: string, field: string, asked: (at: object) => unknown])[] = [
  ['nothing', '', () => undefined],
  ['null', '', () => null],
  ['a text', '', () => '{"qmp":"/run/vm.qmp"}'],
  ['no monitor', 'qmp', () => ({ disks: DISKS })],
  ['a monitor that is an object', 'qmp', () => ({ qmp: {}, disks: DISKS })],
  ['a monitor that is a port', 'qmp', () => ({ qmp: 4444, disks: DISKS })],
  ['a signal that is none', 'signal', at => ({ ...at, disks: DISKS, signal: 'SIGTERM' })],
];

test.each(WRONG)('a request that is %s is refused', async (_, field, asked) => {
  const { sim, untyped, at, journal } = guest();
  for (const method of ['copy', 'planCopy'] as const) {
    const error = await rejection(sim.run(untyped[method](asked(at))));
    expect(error, method).toMatchObject({
      code: 'REQUEST_INVALID',
      issues: [{ path: field === '' ? [] : [field] }],
    });
  }
  const error = await rejection(sim.run(untyped.group([asked(at)])));
  expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
  expect(error.message).toContain('guest 1 of the group');
  expect(journal.sagas()).toEqual([]);
});

test.each(['', 7, '../x', 'x'.repeat(201), null, {}])('a group with the id %j is refused', async id => {
  const { sim, untyped, at, journal } = guest();
  const error = await rejection(sim.run(untyped.group([{ ...at, ...MEMBER, id: 'member' }], { id })));
  expect(error).toMatchObject({
    code: 'REQUEST_INVALID',
    issues: expect.arrayContaining([expect.objectContaining({ path: ['id'] })]),
  });
  expect(journal.sagas()).toEqual([]);
});

test.each(['explode', 'subscribe', 'constructor', '', null])(
  'a saga is not asked to %j, whether it waits, has ended, or no process runs it',
  async signal => {
    const sim = smallSim();
    const first = live(sim);
    const wanted: CopyRequest = { id: 'waits', disks: DISKS, finish: 'leave' };
    await sim.run((await sim.run(first.engine.copy({ ...first.guest, ...wanted }))).result);
    const ask = async (engine: Engine) =>
      rejection(sim.run((engine as object as Untyped).resume('waits', { ...first.guest, signal })));
    const refused = { code: 'REQUEST_INVALID', issues: [{ path: ['signal'] }] };
    expect(await ask(first.engine)).toMatchObject(refused);
    const second = live(sim, first.die());
    const before = second.journal.records('waits');
    expect(await ask(second.engine)).toMatchObject(refused);
    expect(second.journal.records('waits')).toEqual(before);
    const saga = await sim.run(second.engine.resume('waits', { ...second.guest, signal: 'abort' }));
    expect((await sim.run(saga.result)).outcome).toBe('rolledBack');
    expect(await ask(second.engine)).toMatchObject(refused);
  },
);

test('a saga is not waited for until what there is not', async () => {
  const { sim, engine, at } = guest();
  const saga = await sim.run(engine.copy({ ...at, qmp: sim.connect, disks: DISKS }));
  const until = (saga as object as { until(what: unknown): Promise<unknown> }).until('never');
  expect(await rejection(sim.run(until))).toMatchObject({ code: 'REQUEST_INVALID' });
  expect((await sim.run(saga.result)).outcome).toBe('committed');
});

test.each([
  ['no options', undefined],
  ['no journal', {}],
  ['a journal that is a file', { journal: '/var/lib/backend/blocksaga.db' }],
  ['an onCommit that is none', { journal: memoryJournal(), onCommit: '/usr/lib/record' }],
  ['an onListenerError that is none', { journal: memoryJournal(), onListenerError: true }],
])('an engine is not made with %s', (_, options) => {
  expect(() => createEngine(options as object as EngineOptions)).toThrow(
    expect.objectContaining({ code: 'REQUEST_INVALID' }),
  );
});

const HALF_SAID: readonly (readonly [path: readonly string[], said: object])[] = [
  [['qemu'], { qemu: 'deed' }],
  [['qemu'], { qemu: true }],
  [['qemu'], { qemu: null }],
  [['back'], { back: 'no' }],
  [['force'], { force: 'false' }],
  [['acceptRestored'], { acceptRestored: 0 }],
  [['front'], { front: 'newer' }],
  [['front'], { front: {} }],
  [['front'], { front: null }],
  [['front', 'dev0'], { front: { dev0: 'newer' } }],
];

test.each(HALF_SAID)('a recovery without QEMU is refused for a wrong %j: %j', async (path, said) => {
  const { sim, engine, at, journal } = guest();
  const saga = await sim.run(
    engine.copy({ ...at, qmp: sim.connect, id: 's', vm: 'web', disks: DISKS, finish: 'leave' }),
  );
  await sim.run(saga.result);
  const before = journal.records('s');
  for (const id of ['s', 'none']) {
    const error = await rejection(recoverOffline(journal, id, said as OfflineOptions));
    expect(error).toMatchObject({ code: 'REQUEST_INVALID', issues: [{ path }] });
  }
  expect(journal.records('s')).toEqual(before);
  await sim.run(saga.abort());
});

test.each([
  ['force', { force: 'yes' }],
  ['acceptRestored', { acceptRestored: 'true' }],
  ['leaderLost', { leaderLost: 'rollback' }],
  ['leaderLost', { leaderLost: null }],
])('a saga and a group are not resumed with a wrong %s: %j', async (field, said) => {
  const { untyped } = guest();
  const wrong = { code: 'REQUEST_INVALID', issues: [{ path: [field] }] };
  expect(await rejection(untyped.resumeGroup('none', said))).toMatchObject(wrong);
  if (field !== 'leaderLost') expect(await rejection(untyped.resume('none', said))).toMatchObject(wrong);
});

test.each([
  ['state', { state: 'waiting' }],
  ['state', { state: 'opne' }],
  ['status', { status: 'open' }],
])('no journal looks sagas up by a wrong %s: %j', async (field, filter) => {
  const file = openJournal(`${temporaryFolder()}/journal.db`);
  for (const journal of [memoryJournal(), file])
    expect(() => journal.sagas(filter as object as SagaFilter)).toThrow(
      expect.objectContaining({
        code: 'REQUEST_INVALID',
        issues: [{ path: [field], message: expect.any(String) }],
      }),
    );
  await file.close();
});

test.each([{ profile: 'Strict' }, { profile: null }, { persistent: 'no' }])(
  'a domain is not opened with %j',
  said => {
    const { engine, at } = guest();
    expect(() => openDomain({ engine, ...at, ...said } as object as DomainOptions)).toThrow(
      expect.objectContaining({ category: 'INVALID_ARG' }),
    );
  },
);

test.each([
  { disks: [{ name: 'dev0', snapshot: 'extern' }, { name: 'dev1' }] },
  { disks: [{ name: 'dev0', type: 'network' }] },
  { memory: { snapshot: 'none' } },
])("a domain's snapshot of another kind than there is, is refused: %j", async definition => {
  const { sim, engine, at } = guest();
  const domain = openDomain({ engine, ...at, clock: sim.clock });
  await expect(
    sim.run(domain.snapshotCreate(definition as object as SnapshotDefinition, ['DISK_ONLY'])),
  ).rejects.toMatchObject({ category: 'CONFIG_UNSUPPORTED' });
});

test.each([{ type: 'network' }, { driver: 'vmdk' }])('no copy goes to a destination of %j', async given => {
  const { sim, engine, at } = guest();
  const domain = openDomain({ engine, ...at, clock: sim.clock });
  const destination = { file: '/images/new.qcow2', ...given } as object as { file: string };
  await expect(sim.run(domain.blockCopy('dev0', destination))).rejects.toMatchObject({
    category: 'CONFIG_UNSUPPORTED',
  });
});
