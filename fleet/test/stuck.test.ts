/**
 * What holds a guest up is told, and does not hold it for ever: a paused invocation, a stopped agent. That the key is free is seen
 * while the agent is still stopped; how long it took is printed. What never comes is ended by `node --test --test-timeout`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../../src/index.ts';
import { type Fleet, startFleet } from './parts.ts';

let fleet: Fleet;
before(async () => {
  fleet = await startFleet(['web']);
});
after(() => fleet[Symbol.asyncDispose]());

function copy(id: string, bandwidth: number) {
  const directory = fleet.vms.get('web')?.directory ?? '';
  const disks = [0, 1].map(disk => ({ disk: `dev${disk}`, to: join(directory, `${id}-${disk}.qcow2`) }));
  return fleet.send('web', 'copy', { id, disks, bandwidth });
}

async function stateOf(id: string): Promise<string | undefined> {
  const journal = openJournal(fleet.journal);
  try {
    return journal.saga(id)?.state;
  } finally {
    await journal.close();
  }
}

const isBegun = async (id: string) => {
  while ((await stateOf(id)) === undefined) await sleep(20);
};

function command(...args: readonly string[]) {
  const blocksaga = join(import.meta.dirname, '../../src/cli/main.ts');
  const env = { ...process.env, BLOCKSAGA_FLEET: fleet.ingress };
  return spawnSync(process.execPath, [blocksaga, 'fleet', ...args], { env, encoding: 'utf8' });
}

describe('a guest that is held up', () => {
  test('by an invocation that Restate has paused: the endpoint tells it by itself, and the command does', async () => {
    assert.equal(command('hosts').status, 0);
    const invocation = await copy('paused', 4 * 1024 * 1024);
    await isBegun('paused');
    const askedMs = Date.now();
    assert.ok((await fleet.pause(invocation)).status < 300);
    const isTold = () =>
      fleet.endpoint.lines.some(line => line.includes('"stuck"') && line.includes(invocation));
    while (!isTold()) await sleep(50);
    console.log(`told after ${Date.now() - askedMs} ms`);
    const hosts = command('hosts');
    assert.deepEqual([hosts.status, hosts.stdout.includes('guest/web/copy  PAUSED by Restate')], [3, true]);
    assert.match(hosts.stdout, new RegExp(`restate invocations resume ${invocation}`));
    assert.ok((await fleet.resume(invocation)).status < 300);
    assert.equal((await fleet.attach(invocation)).body['outcome'], 'committed');
    assert.equal(command('hosts').status, 0);
  });

  test('by its agent, which was stopped in the middle of a saga: it is free before the agent goes on, and so does the saga', async () => {
    const invocation = await copy('stopped', 4 * 1024 * 1024);
    await isBegun('stopped');
    fleet.agent.signal('SIGSTOP');
    const stoppedMs = Date.now();
    try {
      const bound = await fleet.call('web', 'bind', fleet.agentUrl);
      assert.equal(bound.status, 200);
      console.log(`free after ${Date.now() - stoppedMs} ms`);
      const { status, body } = await fleet.attach(invocation);
      assert.deepEqual([status, /the same saga/.test(String(body['message']))], [504, true]);
    } finally {
      fleet.agent.signal('SIGCONT');
    }
    while ((await stateOf('stopped')) === 'open') await sleep(50);
    assert.equal(await stateOf('stopped'), 'committed');
  });

  test('by its agent, where the invocation is cancelled meanwhile: it is free before the agent goes on', async () => {
    const invocation = await copy('cancelled', 64 * 1024);
    await isBegun('cancelled');
    fleet.agent.signal('SIGSTOP');
    const stoppedMs = Date.now();
    try {
      await sleep(5_000);
      assert.ok((await fleet.cancel(invocation)).status < 300);
      const bound = await fleet.call('web', 'bind', fleet.agentUrl);
      assert.equal(bound.status, 200);
      console.log(`free after ${Date.now() - stoppedMs} ms`);
    } finally {
      fleet.agent.signal('SIGCONT');
    }
    await fleet.askAgent('/sagas/cancelled/abort', {});
    while ((await stateOf('cancelled')) === 'open') await sleep(50);
    assert.equal(await stateOf('cancelled'), 'rolledBack');
  });
});
