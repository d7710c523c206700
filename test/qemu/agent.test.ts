/** An agent beside a real guest, asked over HTTP as another program would: judged by QEMU, not by what the agent says. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { guestsHere } from '../../src/agent/guests-here.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

const TOKEN = 'e5'.repeat(24);
const LOOKS_MAX = 2_000;

interface Told {
  readonly [field: string]: unknown;
}

interface Scene extends AsyncDisposable {
  readonly vm: GuestVm;
  agent: Agent;
  /** Ends the agent, and begins the next one over the same journal. */
  next(): Promise<void>;
  ask(path: string, body?: object): Promise<{ readonly status: number; readonly lines: readonly Told[] }>;
  /** Looks until it is as wanted, so often at most. */
  until(path: string, isSo: (told: Told) => boolean): Promise<Told>;
  images(name: string): readonly string[];
  fronts(): Promise<readonly (string | undefined)[]>;
}

async function scene(): Promise<Scene> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: PACING_US });
  const begin = () =>
    startAgent({
      ...{ host: 'h1', journal: join(vm.directory, 'agent.db'), token: TOKEN, log: () => undefined },
      guests: guestsHere({ named: new Map([['web', vm.monitor]]) }),
      listen: { host: '127.0.0.1', port: 0 },
    });
  let agent = await begin();
  const ask: Scene['ask'] = async (path, body) => {
    const response = await fetch(`${agent.url}${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
    const lines = (await response.text()).split('\n').filter(line => line !== '');
    return { status: response.status, lines: lines.map(line => JSON.parse(line) as Told) };
  };
  return {
    vm,
    get agent() {
      return agent;
    },
    async next() {
      await agent.close();
      agent = await begin();
    },
    ask,
    async until(path, isSo) {
      for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
        const told = (await ask(path)).lines[0];
        if (told !== undefined && isSo(told)) return told;
        await sleep(50);
      }
      return expect.unreachable(`${path} did not come to what was waited for`);
    },
    images: name => [0, 1].map(disk => join(vm.directory, `${name}${disk}.qcow2`)),
    async fronts() {
      const blocks = (await vm.witness.execute('query-block')) as readonly {
        readonly inserted?: { readonly file: string };
      }[];
      return blocks.map(({ inserted }) => inserted?.file);
    },
    async [Symbol.asyncDispose]() {
      await agent.close();
      await vm[Symbol.asyncDispose]();
    },
  };
}

const ended = ({ result }: Told) => result !== null;

describeOnQemu('an agent', () => {
  test('tells the guests of its host, their disks, and what would be done, and does nothing of it', async () => {
    await using on = await scene();
    const before = await on.fronts();
    const [status] = (await on.ask('/status')).lines;
    expect(status).toEqual({ host: 'h1', guests: [{ vm: 'web', qmp: on.vm.monitor }], sagas: [] });
    const [guest] = (await on.ask('/guests/web')).lines;
    expect(guest).toMatchObject({ vm: 'web', disks: before.map(file => ({ chain: [{ file }] })) });
    const disks = on.images('planned').map((to, disk) => ({ disk: `dev${disk}`, to }));
    const { status: planned, lines } = await on.ask('/guests/web/plan/copy', { disks });
    expect([planned, lines[0]?.['operation'], lines[0]?.['strategy']]).toEqual([
      200,
      'copy',
      expect.any(String),
    ]);
    expect((await on.ask('/sagas')).lines).toEqual([{ sagas: [] }]);
    expect(await on.fronts()).toEqual(before);
  });

  test('does what is asked once, however often it is asked, and tells its end', async () => {
    await using on = await scene();
    const disks = on.images('s').map((overlay, disk) => ({ disk: `dev${disk}`, overlay }));
    for (let asked = 0; asked < 3; asked += 1) {
      expect(await on.ask('/guests/web/snapshot', { id: 's1', disks })).toEqual({
        status: 202,
        lines: [{ id: 's1' }],
      });
    }
    expect(await on.until('/sagas/s1', ended)).toMatchObject({ state: 'committed' });
    expect(await on.fronts()).toEqual(on.images('s'));
    expect((await on.ask('/guests/web/copy', { id: 's1', disks })).status).toBe(400);
    const others = on.images('t').map((overlay, disk) => ({ disk: `dev${disk}`, overlay }));
    expect((await on.ask('/guests/web/snapshot', { id: 's1', disks: others })).status).toBe(409);
    const notices = (await on.ask('/sagas/s1/follow')).lines;
    expect(notices.at(-1)).toMatchObject({ type: 'result', outcome: 'committed' });
  });

  test('takes a group of its guests, and tells of each member', async () => {
    await using on = await scene();
    const disks = on.images('g').map((overlay, disk) => ({ disk: `dev${disk}`, overlay }));
    expect((await on.ask('/groups/g', { members: [{ vm: 'web', disks }] })).status).toBe(202);
    const group = await on.until('/sagas/g', ended);
    expect(group).toMatchObject({
      state: 'committed',
      members: [{ id: 'g.0', vm: 'web', state: 'committed' }],
    });
    expect(await on.fronts()).toEqual(on.images('g'));
    expect((await on.ask('/sagas/g/pivot', {})).status).toBe(409);
  });

  test('lets go of a copy that waits at READY when it ends, and the next one pivots it', async () => {
    await using on = await scene();
    const disks = on.images('c').map((to, disk) => ({ disk: `dev${disk}`, to }));
    expect((await on.ask('/guests/web/copy', { id: 'c', finish: 'leave', disks })).status).toBe(202);
    await on.until('/sagas/c', ({ waiting }) => waiting === true);
    await on.next();
    expect(await on.until('/sagas/c', ({ waiting }) => waiting === true)).toMatchObject({ state: 'open' });
    expect((await on.ask('/sagas/c/pivot', {})).status).toBe(202);
    expect(await on.until('/sagas/c', ended)).toMatchObject({ state: 'committed' });
    expect(await on.fronts()).toEqual(on.images('c'));
    expect((await on.ask('/sagas/c/setSpeed', { bytesPerSecond: 0 })).status).toBe(409);
    expect((await on.ask('/sagas/c/setSpeed', { bytesPerSecond: -1 })).status).toBe(400);
  });

  test('keeps the copies of one that waits, when it is asked to', async () => {
    await using on = await scene();
    const before = await on.fronts();
    const disks = on.images('k').map((to, disk) => ({ disk: `dev${disk}`, to }));
    await on.ask('/guests/web/copy', { id: 'k', finish: 'leave', disks });
    await on.until('/sagas/k', ({ waiting }) => waiting === true);
    expect((await on.ask('/sagas/k/keepCopies', {})).status).toBe(202);
    expect(await on.until('/sagas/k', ended)).toMatchObject({ state: 'committed' });
    expect(await on.fronts()).toEqual(before);
  });

  test('refuses what it does not know, and what is no JSON', async () => {
    await using on = await scene();
    for (const path of ['/nothing', '/sagas/none', '/guests/web/copy/more', '/sagas/none/follow'])
      expect((await on.ask(path)).status, path).toBe(404);
    expect((await on.ask('/guests/db')).lines[0]).toMatchObject({
      message: expect.stringContaining('it has web'),
    });
    for (const [path, body] of [
      ['/guests/db/copy', { disks: [] }],
      ['/guests/web/copy', { disks: [] }],
      ['/guests/web/plan/copy', { disks: [] }],
      ['/groups/x', { members: 'web' }],
      ['/groups/x', { members: ['web'] }],
    ] as const)
      expect((await on.ask(path, body)).status, path).toBe(400);
    expect((await on.ask('/guests/web/copy', [])).status).toBe(400);
  });
});
