/**
 * A real Restate server, an endpoint, an agent and a real guest: operations by way of the guest's object, while each of the processes
 * is killed. Judged by QEMU and by the journal of the host, not by what anybody says.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../../src/index.ts';
import { covering, isFull } from '../../test/tiers/tier.ts';
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

const VICTIMS = [['agent'], ['endpoint'], ['restate'], ['agent', 'restate'], ['endpoint', 'agent']] as const;

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

  for (const victims of isFull ? VICTIMS : covering(VICTIMS, victims => victims)) {
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

  test('is cloned and stays where it is, and is followed meanwhile', async () => {
    const { fronts } = await world();
    const { files, disks } = both('to');
    const invocation = await fleet.send('web', 'clone', { id: 'cloned', disks, bandwidth: 8 * 1024 * 1024 });
    while ((await sagasOf('cloned')).length === 0) await sleep(20);
    type Told = {
      readonly saga: { readonly id: string; readonly state: string; readonly result: object | null };
    };
    const follow = async (from: object) => (await fleet.call('web', 'follow', from)).body as unknown as Told;
    let { saga } = await follow({});
    assert.equal(saga.id, 'cloned');
    for (let looks = 0; saga.result === null && looks < 10; looks += 1)
      ({ saga } = await follow({ id: 'cloned', state: saga.state }));
    assert.equal(saga.state, 'committed');
    assert.equal((await fleet.attach(invocation)).body['outcome'], 'committed');
    assert.deepEqual(await world(), { running: true, fronts });
    assert.deepEqual(files.filter(existsSync), files);
  });

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

describe('a fleet', () => {
  test('tells its hosts, and the guests on them', async () => {
    const { body } = await fleet.ask('fleet/hosts/hosts');
    const [host] = body as unknown as readonly Record<string, unknown>[];
    assert.deepEqual([host?.['host'], host?.['agent']], ['h1', fleet.agentUrl]);
    assert.match(JSON.stringify(host?.['status']), /"vm":"web"/);
    assert.equal((await fleet.ask('fleet/hosts/leave', 'h9')).status, 404);
    assert.equal((await fleet.ask('fleet/hosts/join', 'http://evil.example:1')).status, 400);
  });
});

describe('a move', () => {
  const to = (name: string) => {
    const directory = join(fleet.vms.get('web')?.directory ?? '', name);
    mkdirSync(directory);
    return directory;
  };
  const move = async (id: string, request: object) => (await fleet.run('move', id, request)).body;

  test('is planned, with nothing done', async () => {
    const before = await world();
    const directory = to('planned');
    const report = await move('m0', { to: directory, plan: true });
    assert.equal(report['state'], 'planned', JSON.stringify(report));
    const [guest] = report['guests'] as readonly { disks: readonly { from: string; to: string }[] }[];
    assert.deepEqual(
      guest?.disks.map(({ from }) => from),
      before.fronts,
    );
    assert.deepEqual(
      guest?.disks.map(({ to: file }) => dirname(file)),
      [directory, directory],
    );
    assert.deepEqual([await world(), readdirSync(directory)], [before, []]);
  });

  test('is refused as a whole where one guest is, or where it selects nothing, and says why', async () => {
    const before = await world();
    const none = await move('m1', { to: '/nowhere-at-all' });
    assert.equal(none['state'], 'refused');
    assert.match(JSON.stringify(none['guests']), /nowhere-at-all/);
    const nothing = await move('m2', { to: to('x'), below: '/elsewhere' });
    assert.deepEqual([nothing['state'], nothing['why']], ['refused', 'no disk of any guest is to be moved']);
    assert.match(String((await move('m3', { to: '/x', guests: ['db'] }))['why']), /no host has db/);
    assert.match(String((await move('m4', { to: '/x', host: 'h9' }))['why']), /no host "h9"/);
    const { status, body } = await fleet.run('move', 'm5', { to: 'relative', polcy: 'goOn' });
    assert.deepEqual([status, /to|polcy/.test(String(body['message']))], [400, true]);
    assert.deepEqual(await world(), before);
  });

  test('brings the disks of its guests to another directory, while the endpoint and the agent are killed', async () => {
    const directory = to('moved');
    const moving = move('m6', { to: directory, bandwidth: 8 * 1024 * 1024 });
    while ((await sagasOf('m6.web')).length === 0) await sleep(20);
    for (const victim of ['endpoint', 'agent'] as const) {
      await fleet[victim].end();
      await fleet[victim].start();
    }
    const report = await moving;
    assert.equal(report['state'], 'done', JSON.stringify(report));
    const { running, fronts } = await world();
    assert.deepEqual([running, fronts.map(file => dirname(file))], [true, [directory, directory]]);
    assert.deepEqual(await sagasOf('m6.web'), ['committed']);
  });

  test('by takeBackAll switches when all are ready, or takes back what was begun when it is stopped', async () => {
    const directory = to('all');
    const done = await move('m7', { to: directory, policy: 'takeBackAll' });
    assert.equal(done['state'], 'done', JSON.stringify(done) + fleet.agent.lines.slice(-30).join('\n'));
    const before = await world();
    assert.deepEqual(
      before.fronts.map(file => dirname(file)),
      [directory, directory],
    );
    const moving = move('m8', { to: to('stopped'), policy: 'takeBackAll', bandwidth: 64 * 1024 });
    while ((await sagasOf('m8.web')).length === 0) await sleep(20);
    assert.equal((await fleet.ask('move/m8/stop')).status, 200);
    const stopped = await moving;
    assert.equal(stopped['state'], 'takenBack', JSON.stringify(stopped));
    assert.deepEqual([await sagasOf('m8.web'), await world()], [['rolledBack'], before]);
    assert.equal(((await fleet.ask('move/m8/status')).body as { state?: string }).state, 'takenBack');
  });
});

describe('blocksaga fleet', () => {
  const run = (...args: readonly string[]) => {
    const blocksaga = join(import.meta.dirname, '../../src/cli/main.ts');
    const env = { ...process.env, BLOCKSAGA_FLEET: fleet.ingress };
    const ran = spawnSync(process.execPath, [blocksaga, 'fleet', ...args], {
      env,
      encoding: 'utf8',
      timeout: 120_000,
    });
    return { status: ran.status, out: ran.stdout, err: ran.stderr };
  };

  test('moves once, however often it is asked with one id, and tells it afterwards', async () => {
    const directory = join(fleet.vms.get('web')?.directory ?? '', 'by-cli');
    mkdirSync(directory);
    const first = run('move', '--to', directory, '--guest', 'web', '--id', 'cli-1');
    assert.equal(first.status, 0, first.err);
    assert.match(first.out, /web {2}on h1 {2}committed, paused for [\d.]+ ms/);
    const { fronts } = await world();
    assert.deepEqual(
      fronts.map(file => dirname(file)),
      [directory, directory],
    );
    const again = run('move', '--to', directory, '--guest', 'web', '--id', 'cli-1');
    assert.deepEqual([again.status, again.out, await world()], [0, first.out, { running: true, fronts }]);
    assert.equal(run('status', 'cli-1').out, first.out);
    assert.match(run('hosts').out, /^h1 {2}http/);
    const refused = run('move', '--to', '/no/such/directory', '--id', 'cli-2');
    assert.deepEqual(
      [refused.status, /refused, and nothing was begun/.test(refused.out)],
      [2, true],
      refused.err,
    );
  });
});

describe('an instant', () => {
  test('is a group of guests on one host', async () => {
    const { files, disks } = both('overlay');
    const { body } = await fleet.run('instant', 'i1', { members: [{ vm: 'web', disks }] });
    assert.equal(body['state'], 'committed', JSON.stringify(body));
    assert.deepEqual((await world()).fronts, files);
    assert.equal((await fleet.run('instant', 'i2', { members: [{ vm: 'db', disks }] })).status, 404);
  });
});
