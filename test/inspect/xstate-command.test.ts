/** `blocksaga inspect --xstate` and `--inspect`: one command each, over the real server and real sockets. */
import { expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { ChartEvent } from '../../src/inspect/chart-events.ts';
import { serveInspect } from '../../src/inspect/server.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

const FILES = new Map([['page.html', { type: 'text/html', text: '' }]]);

test('--xstate copies a simulated guest under an inspector, and prints the addresses of both pages', async () => {
  const context = fakeContext({ env: { XDG_STATE_HOME: '/no/state', XDG_CONFIG_HOME: '/no/config' } });
  const ended = runProgram(['inspect', '--xstate'], context);
  await expect.poll(() => context.out.join('\n')).toMatch(/Open http.*#\/charts\n.*online: .*stately\n/);
  const [, address = ''] = /Open (http\S+\/)#\/charts/.exec(context.out.join('\n')) ?? [];
  const stream = await fetch(`${address}charts`);
  const reader = stream.body?.getReader();
  let told = '';
  while (!told.includes('"job:')) told += new TextDecoder().decode((await reader?.read())?.value);
  expect(told).toContain('mirroring');
  await reader?.cancel();
  context.interrupt();
  expect(await ended).toBe(0);
  expect(context.out.join('\n')).toMatch(/on the simulated guest: rolledBack/);
  expect(context.err).toEqual([]);
});

test('--inspect sends the chart and all events of a command, and changes nothing where no page listens', async () => {
  const listen = `${temporaryFolder()}/qmp`;
  const sim = await serveSim({ listen, disks: 2 });
  const server = await serveInspect({
    ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock, files: FILES },
  });
  const env = { XDG_STATE_HOME: temporaryFolder(), XDG_CONFIG_HOME: '/no/config' };
  const copy = (at: string, id: string) => {
    const disk = ['--disk', `disk0,to=/images/${id}.qcow2`, '--finish', 'clone'];
    return ['copy', '--qmp', listen, ...disk, '--id', id, '--inspect', at];
  };
  const heard = fakeContext({ env });
  const status = await runProgram(copy(server.inspectorUrl, 'heard'), heard);
  // The simulated host's files cannot be seen from here: what it comes to is not what is looked at.
  const events: readonly ChartEvent[] = server.charts.remembered();
  expect(events.filter(({ type }) => type === '@xstate.actor').length).toBeGreaterThan(2);
  expect(JSON.stringify(events)).toContain('mirrorDisks');
  await server.close();
  const alone = fakeContext({ env });
  expect(await runProgram(copy(server.inspectorUrl, 'alone'), alone)).toBe(status);
  expect(alone.err.join('\n')).toContain('it is not inspected: no inspector listens at 127.0.0.1');
  const refused = fakeContext({ env });
  expect(await runProgram(copy('ws://10.0.0.1:80/x', 'x'), refused)).toBe(2);
  expect(refused.err.join('\n')).toMatch(/--inspect ws:\/\/10\.0\.0\.1.*blocksaga inspect/);
  await sim.close();
});
