/**
 * A real Restate server, an endpoint, an agent and a real guest: operations by way of the guest's object, while each of the processes
 * is killed. Judged by QEMU and by the journal of the host, not by what anybody says.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../../src/index.ts';
import { type Fleet, startEcho, startFleet } from './parts.ts';

interface Block {
  readonly inserted?: { readonly file: string };
}

let fleet: Fleet;
before(async () => {
  fleet = await startFleet(['web']);
});
after(() => fleet[Symbol.asyncDispose]());

let images = 0;

/** A request for both disks of the guest, and the files that they are to be on. */
function both(member: 'overlay' | 'to') {
  images += 1;
  const directory = fleet.vms.get('web')?.directory ?? '';
  const files = [0, 1].map(disk => join(directory, `image${images}-${disk}.qcow2`));
  return { files, disks: files.map((file, disk) => ({ disk: `dev${disk}`, [member]: file })) };
}

async function world(): Promise<{ readonly running: boolean; readonly fronts: readonly string[] }> {
  const vm = fleet.vms.get('web');
  assert.ok(vm !== undefined);
  const { running } = (await vm.witness.execute('query-status')) as { readonly running: boolean };
  const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
  return { running, fronts: blocks.map(block => block.inserted?.file ?? '') };
}

/** All sagas that the host's journal has of this id or VM. */
async function sagasOf(id: string): Promise<readonly string[]> {
  const journal = openJournal(fleet.journal);
  try {
    return journal.sagas().flatMap(row => (row.id === id ? [row.state] : []));
  } finally {
    await journal.close();
  }
}

describe('a guest as a virtual object', () => {
  test('takes a snapshot, and gives what its host’s journal has', async () => {
    const { files, disks } = both('overlay');
    const { status, body } = await fleet.call('web', 'snapshot', { id: 's1', disks });
    assert.deepEqual([status, body['outcome'], body['saga']], [200, 'committed', 's1']);
    assert.deepEqual(await world(), { running: true, fronts: files });
    // The same again is the same saga.
    assert.equal((await fleet.call('web', 'snapshot', { id: 's1', disks })).body['outcome'], 'committed');
    assert.deepEqual(await sagasOf('s1'), ['committed']);
  });

  test('says for what it was refused, and holds nothing then', async () => {
    const disks = [{ disk: 'none', overlay: '/x.qcow2' }];
    const { status, body } = await fleet.call('web', 'snapshot', { id: 's2', disks });
    assert.equal(status, 422, JSON.stringify(body));
    assert.match(String(body['message']), /none/);
    assert.equal((await fleet.call('elsewhere', 'snapshot', { disks })).status, 404);
    assert.equal((await fleet.call('web', 'abort')).status, 409);
    assert.deepEqual((await fleet.call('web', 'status')).body['saga'], null);
  });

  for (const victims of [
    ['agent'],
    ['endpoint'],
    ['restate'],
    ['agent', 'restate'],
    ['endpoint', 'agent'],
  ] as const) {
    test(`runs a copy once, and to its end, where ${victims.join(' and ')} are killed meanwhile`, async () => {
      const id = `copy-${victims.join('-')}`;
      const { files, disks } = both('to');
      const invocation = await fleet.send('web', 'copy', { id, disks, bandwidth: 8 * 1024 * 1024 });
      while ((await sagasOf(id)).length === 0) await sleep(20);
      await sleep(300);
      for (const victim of victims) await fleet[victim].end();
      await sleep(200);
      for (const victim of victims) await fleet[victim].start();
      const { status, body } = await fleet.attach(invocation);
      assert.deepEqual([status, body['outcome'], body['saga']], [200, 'committed', id], JSON.stringify(body));
      assert.deepEqual(await world(), { running: true, fronts: files });
      assert.deepEqual(await sagasOf(id), ['committed']);
    });
  }

  test('is aborted beside a copy under way', async () => {
    const { fronts } = await world();
    const { disks } = both('to');
    const invocation = await fleet.send('web', 'copy', { id: 'long', disks, bandwidth: 64 * 1024 });
    while ((await sagasOf('long')).length === 0) await sleep(20);
    assert.equal((await fleet.call('web', 'abort')).status, 200);
    assert.equal((await fleet.attach(invocation)).body['outcome'], 'rolledBack');
    assert.deepEqual(await world(), { running: true, fronts });
  });

  test('is rolled back where its invocation is cancelled, before the guest is free for another', async () => {
    const { fronts } = await world();
    const { disks } = both('to');
    const invocation = await fleet.send('web', 'copy', { id: 'cancelled', disks, bandwidth: 64 * 1024 });
    while ((await sagasOf('cancelled')).length === 0) await sleep(20);
    assert.ok((await fleet.cancel(invocation)).status < 300);
    assert.equal((await fleet.attach(invocation)).status, 409);
    assert.deepEqual(await sagasOf('cancelled'), ['rolledBack']);
    assert.deepEqual(await world(), { running: true, fronts });
    assert.equal((await fleet.call('web', 'status')).body['saga'], null);
  });
});

describe('the token of an agent', () => {
  /** Of all files below a folder, those that have a text in them. */
  const filesWith = (folder: string, text: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(text))
      .map(entry => entry.name);

  test('is sent to no other machine, whatever a guest is bound to', async () => {
    const { status, body } = await fleet.call('other', 'bind', 'http://evil.example:7171');
    assert.deepEqual([status, /sent to no other machine/.test(String(body['message']))], [400, true]);
    assert.equal((await fleet.call('other', 'abort')).status, 404);
  });

  test('is given back by no program that listens where a guest is bound, and is nowhere in what Restate keeps and what is logged', async () => {
    await using echo = await startEcho();
    await fleet.call('echoed', 'bind', echo.url);
    const { body } = await fleet.call('echoed', 'snapshot', { id: 'echo-saga', disks: [] });
    assert.deepEqual(body, { echo: 'Bearer TOKEN' });
    assert.deepEqual(echo.heard, [`Bearer ${fleet.token}`, `Bearer ${fleet.token}`]);
    // What Restate does keep is found there.
    assert.notDeepEqual(filesWith(fleet.restateFolder, 'echo-saga'), []);
    assert.deepEqual(filesWith(fleet.restateFolder, fleet.token), []);
    const { agent, endpoint, restate, journal } = fleet;
    assert.ok(!readFileSync(journal).includes(fleet.token));
    const lines = [agent, endpoint, restate].flatMap(part => part.lines);
    assert.deepEqual([lines.length > 0, lines.filter(line => line.includes(fleet.token))], [true, []]);
  });
});

describe('the agent by itself', () => {
  const ask = async (path: string, body?: object, headers: Record<string, string> = {}) => {
    const response = await fleet.askAgent(path, body, headers);
    const text = await response.text();
    const lines = text.split('\n').filter(line => line !== '');
    return { status: response.status, lines: lines.map(line => JSON.parse(line) as Record<string, unknown>) };
  };

  test('tells its guests, its open sagas, and what doctor finds', async () => {
    const { lines } = await ask('/status');
    assert.deepEqual(lines, [
      { host: 'h1', guests: [{ vm: 'web', qmp: fleet.vms.get('web')?.monitor }], sagas: [] },
    ]);
    assert.equal((await ask('/doctor/web')).status, 200);
  });

  test('takes a group of its guests, and tells each member as it goes', async () => {
    const { files, disks } = both('overlay');
    const { status, lines } = await ask('/groups/g', { members: [{ vm: 'web', disks }] });
    assert.deepEqual([status, lines], [202, [{ id: 'g' }]]);
    const notices = (await ask('/sagas/g.0/follow')).lines;
    assert.equal(notices.at(-1)?.['type'], 'result');
    assert.equal(notices.at(-1)?.['outcome'], 'committed');
    assert.deepEqual((await world()).fronts, files);
    const [group] = (await ask('/sagas/g')).lines;
    assert.deepEqual(
      [group?.['state'], group?.['members']],
      ['committed', [{ id: 'g.0', state: 'committed' }]],
    );
  });

  test('waits at READY over its own end by SIGTERM, and pivots in the next process', async () => {
    const { files, disks } = both('to');
    assert.equal((await ask('/guests/web/copy', { id: 'ready', finish: 'leave', disks })).status, 202);
    const state = async () => (await ask('/sagas/ready')).lines[0];
    while (!JSON.stringify((await ask('/sagas')).lines).includes('"waiting"')) await sleep(50);
    await fleet.agent.end('SIGTERM');
    await fleet.agent.start();
    assert.equal((await state())?.['state'], 'open');
    assert.equal((await ask('/sagas/ready/pivot', {})).status, 202);
    while ((await state())?.['result'] === null) await sleep(50);
    assert.deepEqual(await world(), { running: true, fronts: files });
  });

  test('refuses what it does not know, what is no JSON, and what does not come from this machine', async () => {
    assert.equal((await ask('/nothing')).status, 404);
    assert.equal((await ask('/sagas/none')).status, 404);
    assert.equal((await ask('/guests/db/copy', { disks: [] })).status, 400);
    assert.equal((await ask('/guests/web/copy', { disks: [] })).status, 400);
    assert.equal((await ask('/guests/web/copy', {}, { 'content-type': 'text/plain' })).status, 400);
  });
});
