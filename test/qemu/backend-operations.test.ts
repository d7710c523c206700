/**
 * Every operation through the example backend, whose process ends by SIGTERM or SIGKILL in each state that an undisturbed saga
 * enters: each is done once, all or none. And what else its clients may ask for: groups, recovery without QEMU, a time limit,
 * events from where they were, another backend on the same journal, spans.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import type { GroupResult, SagaResult } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull, turns } from '../tiers/tier.ts';
import { Backend } from './backend-process.ts';
import { Gate } from './gate.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const AT = [0, 1];

/** A guest behind a gate, and whom its backend is. */
interface Place {
  readonly vm: GuestVm;
  readonly gate: Gate;
  readonly folder: string;
}

async function place(name: string, folder = temporaryFolder()): Promise<Place> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: SLOW_PACING_US });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  const gate = await new Gate(join(folder, `${name}.qmp`), vm.monitor).listen();
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return { vm, gate, folder };
}

async function status(vm: GuestVm): Promise<string> {
  return ((await vm.witness.execute('query-status')) as { status: string }).status;
}

/** The files of each disk's chain, the active image first. */
async function chains(vm: GuestVm): Promise<readonly (readonly string[])[]> {
  const blocks = (await vm.witness.execute('query-block')) as readonly { inserted?: { image: Image } }[];
  return blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [filesOf(inserted.image)]));
}

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}

function filesOf(image: Image): readonly string[] {
  return [image.filename, ...(image['backing-image'] === undefined ? [] : filesOf(image['backing-image']))];
}

const overlay = ({ vm }: Place, id: string, at: number) => join(vm.directory, `${id}-${at}.qcow2`);
const guestOf = ({ gate }: Place, id: string) => ({ id, vm: 'web', qmp: gate.socket });
const snapshotOf = (at: Place, id: string) => ({
  ...guestOf(at, id),
  disks: AT.map(disk => ({ disk: `dev${disk}`, overlay: overlay(at, id, disk) })),
});

interface Operation {
  wanted(at: Place, id: string): object;
  /** How often each command must have passed, and the guest's state in the end. */
  readonly once: Readonly<Record<string, number>>;
  readonly ends?: 'paused';
  /** What becomes of each disk's chain. */
  becomes(chain: readonly string[], overlay: string): readonly string[];
}

const DISKS = AT.map(disk => ({ disk: `dev${disk}` }));

/** Each is asked of a guest whose disks have a snapshot of just now. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  snapshot: {
    wanted: snapshotOf,
    once: { transaction: 1 },
    becomes: (chain, overlay) => [overlay, ...chain],
  },
  pull: {
    wanted: (at, id) => ({ ...guestOf(at, id), disks: DISKS }),
    once: { 'block-stream': 2 },
    becomes: ([front = '']) => [front],
  },
  commit: {
    wanted: (at, id) => ({ ...guestOf(at, id), disks: DISKS, active: true, shallow: true }),
    once: { 'block-commit': 2 },
    becomes: chain => chain.slice(1),
  },
  revert: {
    wanted: snapshotOf,
    once: {},
    ends: 'paused',
    becomes: (chain, overlay) => [overlay, ...chain.slice(1)],
  },
};

/** The states that an undisturbed saga has entered, without its end. */
async function statesOf(backend: Backend, id: string): Promise<readonly string[]> {
  let text = '';
  for await (const part of backend.stream('GET', `/sagas/${id}/events`)) text += part;
  return [...new Set([...text.matchAll(/"state":"([^"]*)"/g)].map(([, state]) => state ?? ''))].slice(0, -1);
}

async function resultOf<R = SagaResult>(backend: Backend, path: string): Promise<R> {
  const { body } = await backend.ask('GET', `${path}/result`);
  return body as R;
}

/** In the quick tier one state, another one for each signal; all by both in the full one. */
function some(states: readonly string[], turn: number): readonly string[] {
  return isFull ? states : states.filter((_, at) => at === (turn * 3 + 1) % states.length);
}

const SIGNALS = ['SIGTERM', 'SIGKILL'] as const;

/** Makes the process end once the saga has entered a state, and gives the next one. */
async function endedIn(
  first: Backend,
  state: string,
  signal: (typeof SIGNALS)[number],
  at: Place,
  begin: Begin,
) {
  const { reached } = first.followed(begin.saga, at.gate, { judge: () => 'pass' }, state);
  // Its answer may be lost with the process: that of a group comes when all have been begun.
  const asked = first.ask('POST', begin.path, begin.wanted).catch(() => undefined);
  await reached;
  const code = await first.end(signal);
  await asked;
  at.gate.judge = async () => 'pass';
  if (signal === 'SIGTERM') expect(code, state).toBe(0);
  return Backend.start(at.folder);
}

interface Begin {
  readonly saga: string;
  readonly path: string;
  readonly wanted: object;
}

/** In the quick tier each operation with one signal, in turn. */
const inTurn = turns();
const PLAYED = Object.entries(OPERATIONS).flatMap(([name, play]) =>
  inTurn(SIGNALS).map(signal => ({ name, signal, play, turn: SIGNALS.indexOf(signal) })),
);

/** Brings the guest to where the operation is asked of it: with a snapshot that its administrator took. */
async function below({ vm }: Place, id: string, { ends }: Operation): Promise<void> {
  if (ends === 'paused') await vm.witness.execute('cont');
  const blocks = (await vm.witness.execute('query-block')) as readonly {
    inserted?: { 'node-name': string };
  }[];
  for (const [disk, { inserted }] of blocks.filter(block => block.inserted !== undefined).entries())
    await vm.witness.execute('blockdev-snapshot-sync', {
      ...{ 'node-name': inserted?.['node-name'], format: 'qcow2' },
      'snapshot-file': join(vm.directory, `${id}-below-${disk}.qcow2`),
      'snapshot-node-name': `${id}-below-${disk}`,
    });
  if (ends === 'paused') await vm.witness.execute('stop');
}

describeOnQemu('a backend', () => {
  test.each(PLAYED)('does a $name once, with $signal in each state', async ({ name, signal, play, turn }) => {
    const at = await place('web');
    await using backends = new AsyncDisposableStack();
    const path = `/sagas/${name}`;
    await below(at, 'all', play);
    const undisturbed = backends.use(await Backend.start(at.folder));
    expect((await undisturbed.ask('POST', path, play.wanted(at, 'all'))).status).toBe(202);
    const states = await statesOf(undisturbed, 'all');
    expect(states.length).toBeGreaterThan(2);
    let running = undisturbed;
    for (const [index, state] of some(states, turn).entries()) {
      const id = `${name}-${index}`;
      await below(at, id, play);
      const before = await chains(at.vm);
      const wanted = play.wanted(at, id);
      at.gate.passed.splice(0);
      const next = backends.use(await endedIn(running, state, signal, at, { saga: id, path, wanted }));
      running = next;
      expect(await next.ask('POST', path, wanted), state).toEqual({ status: 202, body: { id, vm: 'web' } });
      const result = await resultOf(next, `/sagas/${id}`);
      const told = `${state}: ${JSON.stringify(result)}`;
      expect(result, told).toMatchObject({ outcome: 'committed', leftovers: [] });
      expect(await status(at.vm), state).toBe(play.ends ?? 'running');
      expect(await chains(at.vm), state).toEqual(
        before.map((chain, disk) => play.becomes(chain, overlay(at, id, disk))),
      );
      for (const [command, count] of Object.entries(play.once))
        expect(
          at.gate.passed.filter(({ execute }) => execute === command),
          state,
        ).toHaveLength(count);
    }
  });

  test.each(inTurn(SIGNALS))(
    'snapshots a group on all guests or on none, with %s in each state',
    async signal => {
      const folder = temporaryFolder();
      const guests = [await place('web', folder), await place('db', folder)];
      const [at] = guests;
      expect.assert(at !== undefined);
      const wanted = (id: string) => ({
        id,
        members: guests.map((guest, index) => ({
          ...{ ...snapshotOf(guest, `${id}.${index}`), id: undefined, vm: `vm${index}` },
        })),
      });
      await using backends = new AsyncDisposableStack();
      const undisturbed = backends.use(await Backend.start(folder));
      expect((await undisturbed.ask('POST', '/groups', wanted('all'))).body).toEqual({
        ...{ id: 'all', members: ['all.0', 'all.1'] },
      });
      expect(await resultOf(undisturbed, '/groups/all')).toMatchObject({ outcome: 'committed' });
      const states = await statesOf(undisturbed, 'all.0');
      let running = undisturbed;
      for (const [index, state] of some(states, signal === 'SIGTERM' ? 1 : 2).entries()) {
        const id = `g${index}`;
        const where = `${signal} in ${state}`;
        const before = await Promise.all(guests.map(({ vm }) => chains(vm)));
        const begin = { saga: `${id}.0`, path: '/groups', wanted: wanted(id) };
        const next = backends.use(await endedIn(running, state, signal, at, begin));
        running = next;
        if (signal === 'SIGTERM')
          expect(await Promise.all(guests.map(({ vm }) => status(vm))), where).toEqual([
            'running',
            'running',
          ]);
        expect((await next.ask('POST', '/groups', wanted(id))).status, where).toBe(202);
        const { outcome, members } = await resultOf<GroupResult>(next, `/groups/${id}`);
        expect(['committed', 'rolledBack'], where).toContain(outcome);
        expect(new Set(members.map(member => member.outcome)), where).toEqual(new Set([outcome]));
        const now = await Promise.all(guests.map(({ vm }) => chains(vm)));
        const onTop = (chain: readonly string[], guest: Place, nth: number, disk: number) =>
          outcome === 'committed' ? [overlay(guest, `${id}.${nth}`, disk), ...chain] : chain;
        expect(now, where).toEqual(
          guests.map((guest, nth) => before[nth]?.map((chain, disk) => onTop(chain, guest, nth, disk))),
        );
        expect(await Promise.all(guests.map(({ vm }) => status(vm))), where).toEqual(['running', 'running']);
      }
    },
  );

  test('says what to boot from when a QEMU is dead, and only then', async () => {
    const at = await place('web');
    const wanted = { ...guestOf(at, 'lost'), finish: 'leave', disks: DISKS.map(copyTo(at)) };
    const before = (await chains(at.vm)).map(([file]) => file);
    await using backend = await Backend.start(at.folder);
    await backend.ask('POST', '/sagas/copy', wanted);
    expect((await backend.ask('GET', '/sagas/lost/ready')).body).toMatchObject({ outcome: 'ready' });
    // A promise that is seen not to be true.
    const early = await backend.ask('POST', '/sagas/lost/recover', { qemu: 'dead' });
    expect(early, JSON.stringify(early.body)).toMatchObject({ status: 409, body: { code: 'DISK_BUSY' } });
    await at.vm.kill();
    expect(await resultOf(backend, '/sagas/lost')).toMatchObject({ outcome: 'needsRecovery' });
    expect((await backend.ask('POST', '/sagas/lost/recover', { qemu: 'alive' })).status).toBe(400);
    const { body } = await backend.ask('POST', '/sagas/lost/recover', { qemu: 'dead' });
    expect(body).toMatchObject({ outcome: 'rolledBack', boot: before.map(file => ({ file })) });
    expect(await resultOf(backend, '/sagas/lost')).toMatchObject({ outcome: 'rolledBack' });
  });

  test('rolls back what is not decided in time, and tells of it from where its client was', async () => {
    const at = await place('web');
    await using backend = await Backend.start(at.folder);
    const wanted = { ...guestOf(at, 'late'), finish: 'leave', disks: DISKS.map(copyTo(at)) };
    await backend.ask('POST', '/sagas/copy', wanted, { 'x-within-ms': '4000' });
    const events = async (headers = {}) => {
      let text = '';
      for await (const part of backend.stream('GET', '/sagas/late/events', undefined, headers)) text += part;
      return [...text.matchAll(/^id: (.*)\nevent: event\n.*"state":"([^"]*)"/gm)].map(([, id, state]) => ({
        id,
        state,
      }));
    };
    await events();
    expect(await resultOf(backend, '/sagas/late')).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'ABORTED' },
    });
    const all = await events();
    expect(all.map(({ state }) => state)).toEqual(expect.arrayContaining(['rolledBack']));
    const [, , third] = all;
    expect(await events({ 'last-event-id': third?.id })).toEqual(all.slice(3));
    expect(await events({ 'last-event-id': 'of-another-process 3' })).toEqual(all);
    expect(await status(at.vm)).toBe('running');
  });

  test('serves the sagas of another one on its journal, and takes them over when that is dead', async () => {
    const at = await place('web');
    await using first = await Backend.start(at.folder);
    await using second = await Backend.start(at.folder, { name: 'second' });
    const wanted = { ...guestOf(at, 'moves'), finish: 'leave', disks: DISKS.map(copyTo(at)) };
    await first.ask('POST', '/sagas/copy', wanted);
    expect((await first.ask('GET', '/sagas/moves/ready')).status).toBe(200);
    expect(await second.ask('POST', '/sagas/copy', wanted)).toEqual({
      status: 202,
      body: { id: 'moves', vm: 'web' },
    });
    await second.reaches('moves', 'ready.awaitSignal');
    await first.end('SIGKILL');
    expect((await second.ask('POST', '/sagas/moves/pivot')).body).toMatchObject({ outcome: 'committed' });
    expect(at.gate.passed.filter(({ execute }) => execute === 'blockdev-mirror')).toHaveLength(2);
  });

  test('sends spans to where its owner says, linked to the traces of clients', async () => {
    const at = await place('web');
    const [tracing, spans] = [join(at.folder, 'tracing.mjs'), join(at.folder, 'spans')];
    await writeFile(tracing, TRACING(spans));
    await using backend = await Backend.start(at.folder, { options: ['--import', tracing] });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${trace}-00f067aa0ba902b7-01` };
    await backend.ask('POST', '/sagas/snapshot', snapshotOf(at, 'seen'), headers);
    expect(await resultOf(backend, '/sagas/seen')).toMatchObject({ outcome: 'committed' });
    await backend.end('SIGTERM');
    const told = (await readFile(spans, 'utf8'))
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(told).toEqual(
      expect.arrayContaining([
        { name: 'saga snapshot', links: [trace] },
        { name: 'takeSnapshot', links: [] },
        { name: 'qmp transaction', links: [] },
      ]),
    );
  });

  test('has an OpenAPI document of what it accepts', async () => {
    await using backend = await Backend.start(temporaryFolder());
    const { body } = await backend.ask('GET', '/openapi.json');
    const { paths } = body as { paths: Readonly<Record<string, object>> };
    expect(Object.keys(paths)).toEqual([
      ...['snapshot', 'copy', 'pull', 'commit', 'revert'].map(name => `/sagas/${name}`),
      '/groups',
    ]);
    const refused = {
      qmp: '/run/vm.qmp',
      disks: [{ disk: 'disk0', to: '/new/0' }],
      onCommit: { program: '/bin/true', arguments: [] },
    };
    expect((await backend.ask('POST', '/sagas/copy', refused)).status).toBe(400);
  });
});

const copyTo =
  ({ vm }: Place) =>
  ({ disk }: { readonly disk: string }) => ({ disk, to: join(vm.directory, `new-${disk}.qcow2`) });

/** What its owner would write, but for the exporter: each span is a line of a file. */
const TRACING = (file: string) => `
  import { appendFileSync } from 'node:fs';
  import { trace } from '${import.meta.resolve('@opentelemetry/api')}';
  import { BasicTracerProvider, SimpleSpanProcessor } from '${import.meta.resolve('@opentelemetry/sdk-trace-base')}';
  const line = ({ name, links }) => JSON.stringify({ name, links: links.map(link => link.context.traceId) }) + '\\n';
  const exporter = {
    export: (spans, done) => (appendFileSync(${JSON.stringify(file)}, spans.map(line).join('')), done({ code: 0 })),
    shutdown: async () => undefined,
  };
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
`;
