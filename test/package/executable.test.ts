/**
 * The single executable, in a root where there is nothing else: what it has inside (threads, the page, its version), and the very
 * commands of the examples of a service and of a container.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { ROOT } from '../docs/programs.ts';
import { BareRoot, BLOCKSAGA } from './bare-root.ts';

const root = new BareRoot();
afterAll(() => root[Symbol.asyncDispose]());

// The images of a simulated guest are inside it, and a snapshot asks whether they are outside too.
mkdirSync(root.at('/images'));
for (const at of [0, 1]) writeFileSync(root.at(`/images/disk${at}.qcow2`), '');

const UNIT = join(ROOT, 'examples/agent/blocksaga-agent.service');
const COMPOSE = join(ROOT, 'examples/agent/compose.yaml');
const unit = readFileSync(UNIT, 'utf8');
const commandOf = (text: string | undefined) => (text ?? '').trim().split(/\s+/);

const EXAMPLES = {
  'the unit for systemd': commandOf(/^ExecStart=(.+)$/m.exec(unit)?.[1]),
  'the container': commandOf(/^ {4}command: >-\n((?: {6}.+\n)+)/m.exec(readFileSync(COMPOSE, 'utf8'))?.[1]),
};

describe('the executable, with nothing beside it', () => {
  test('says its version', () => {
    expect(root.run(BLOCKSAGA, '--version')).toMatchObject({ status: 0, stdout: `${packageJson.version}\n` });
  });

  test('has the licences of Node, of the packages inside, and of those that these need', () => {
    const inside = readFileSync(root.at(BLOCKSAGA)).toString('latin1');
    for (const name of ['xstate', 'zod', 'listr2', 'slice-ansi', 'signal-exit'])
      expect(inside, name).toContain(`With ${name}:`);
    expect(inside).toContain('Node.js is licensed for use as follows');
  });

  test('tells a refusal by its status, of a user without a home too', () => {
    const { status, stderr } = root.run(BLOCKSAGA, 'sagas');
    expect([status, stderr]).toEqual([2, expect.stringContaining('say --journal FILE, or set HOME')]);
  });

  test('simulates a QEMU, and takes its snapshot', async () => {
    await using sim = await running(BLOCKSAGA, 'sim', '--listen', '/run/sim.qmp', '--disks', '2');
    expect(sim.line).toContain('/run/sim.qmp');
    const disks = [0, 1].flatMap(at => ['--disk', `disk${at},overlay=/images/s${at}.qcow2`]);
    const journal = ['--journal', '/var/lib/blocksaga/alone.db'];
    const { status, stdout, stderr } = root.run(
      ...[BLOCKSAGA, 'snapshot', '--qmp', '/run/sim.qmp', ...journal, ...disks],
    );
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('committed');
    expect(await sim.end()).toBe(0);
  });

  test('has its threads inside', () => {
    const { status, stdout, stderr } = root.run(BLOCKSAGA, ...'fuzz --runs 4 --seed 1 --jobs 2'.split(' '));
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^4 sagas from seed 1, /m);
  });

  test('has the page inside', async () => {
    await using page = await running(BLOCKSAGA, 'inspect', '--sim');
    const address = /http:\S+/.exec(page.line)?.[0] ?? page.line;
    const response = await fetch(address);
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('page.js')]);
    expect(await page.end()).toBe(0);
  });

  test.each(Object.entries(EXAMPLES))('serves the guests of its host as %s has it', async (_, command) => {
    expect(command.slice(0, 2)).toEqual([BLOCKSAGA, 'agent']);
    await using sim = await running(BLOCKSAGA, 'sim', '--listen', '/run/vms/web.qmp', '--disks', '1');
    // Behind what the example says: another port, as its own may be taken here.
    await using agent = await running(...command, '--host', 'h1', '--listen', '127.0.0.1:0');
    const { listening } = JSON.parse(agent.line) as { readonly listening: string };
    const token = root.read(command[command.indexOf('--token-file') + 1] ?? '').trim();
    const ask = async (path: string, body?: object) => {
      const response = await fetch(`${listening}${path}`, {
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
      return response.json();
    };
    expect(await ask('/status')).toMatchObject({
      host: 'h1',
      guests: [{ vm: 'web', qmp: '/run/vms/web.qmp' }],
    });
    const id = `s-${command.length}`;
    await ask('/guests/web/snapshot', { id, disks: [{ disk: 'disk0', overlay: '/images/s.qcow2' }] });
    await expect.poll(() => ask(`/sagas/${id}`)).toMatchObject({ state: 'committed' });
    expect(await agent.end()).toBe(0);
    expect(existsSync(root.at(command[command.indexOf('--journal') + 1] ?? ''))).toBe(true);
    expect(await sim.end()).toBe(0);
  });

  test('has a unit in which systemd finds nothing wrong', context => {
    const file = root.at('/tmp/blocksaga-agent.service');
    const verified = (text: string) => {
      writeFileSync(file, text.replaceAll(BLOCKSAGA, root.at(BLOCKSAGA)));
      return spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
    };
    const { error, status, stderr } = verified(unit);
    if (error !== undefined) return context.skip(`there is no systemd-analyze: ${error.message}`);
    expect([status, stderr]).toEqual([0, '']);
    expect(verified(unit.replace('TimeoutStopSec', 'TimeoutStoppSec')).stderr).toContain('TimeoutStoppSec');
  });
});

async function running(...command: readonly string[]) {
  const child = await root.start(...command);
  return { ...child, [Symbol.asyncDispose]: async () => void (await child.end()) };
}
