/**
 * `blocksaga copy --group` on two real guests: their copies stand, of one instant of each guest's ordered writes, and the guests run on
 * where they were; or no copy is left, also where the command is killed.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, readCut } from '../../src/demo/ordered-cut.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { turns } from '../tiers/tier.ts';
import { askCommand, buildCommand, runCommand, startCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { lookAt } from './world.ts';

const inTurn = turns();

describeOnQemu('blocksaga copy --group', () => {
  beforeAll(buildCommand);

  /** Two guests, a file that names them and where their copies go, and commands with one journal. */
  async function scene(more: object = {}) {
    const state = temporaryFolder();
    const vms = await Promise.all(
      [0, 1].map(() => startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: SLOW_PACING_US })),
    );
    for (const vm of vms) onTestFinished(() => vm[Symbol.asyncDispose]());
    const file = join(state, 'group.json');
    const copies = vms.map(({ directory }) => [0, 1].map(disk => join(directory, `copy${disk}.qcow2`)));
    const guests = vms.map(({ monitor }, at) => ({
      ...{ vm: `vm${at}`, qmp: monitor, ...more },
      disks: (copies[at] ?? []).map((to, disk) => ({ disk: `dev${disk}`, to })),
    }));
    writeFileSync(file, JSON.stringify(guests));
    const before = vms.map(({ disks }) => disks.map(each => each.file));
    const fronts = async () => {
      const worlds = await Promise.all(vms.map(vm => lookAt(vm, [])));
      expect(worlds.map(({ status }) => status)).toEqual(['running', 'running']);
      return worlds.map(world => world.fronts.map(({ chain }) => chain[0]));
    };
    return { state, file, copies, before, fronts };
  }

  test('leaves copies of one instant beside guests that run on where they were, and says so', async () => {
    const { state, file, copies, before, fronts } = await scene();
    const { status, out, err } = await runCommand(state, 'copy', '--group', file, '--id', 'g');
    expect([status, err], out.join('\n')).toEqual([0, '']);
    expect(await fronts()).toEqual(before);
    for (const files of copies) {
      const verdict = checkCut(await readCut(files.map(each => ({ file: each }))));
      expect(verdict, verdict.why).toMatchObject({ consistent: true });
    }
    const told = out.join('\n');
    expect(told).toMatch(/^group g: clones of 2 guests at one instant\n {2}saga g\.0: 2 disks of VM vm0\n/);
    expect(told).toMatch(/\n {2}vm1 dev0: ready/);
    expect(told).toMatch(
      /\ngroup g: committed, both guests have their copies, of one instant\n {2}no guest was paused for longer than \d+\.\d ms, \d+\.\d ms of it for one another$/,
    );
  });

  test.each(
    inTurn([
      'ready.awaitMembers',
      'switching.endMirrorsInPlace',
      'switching.awaitGo',
      'deciding.decideWithGroup',
    ]),
  )('killed at %s is brought to one end on both guests by resume', async at => {
    const { state, file, copies, before, fronts } = await scene();
    const running = startCommand(state, 'copy', '--group', file, '--id', 'g', '--json');
    await running.line(line => line.includes(`"${at}"`));
    running.child.kill('SIGKILL');
    await running.status;
    const { status, out, err } = await askCommand(state, 'resume', 'g');
    expect([status === 0 || status === 1, err], out.join('\n')).toEqual([true, '']);
    expect(await fronts()).toEqual(before);
    expect(copies.flat().map(each => existsSync(each))).toEqual(copies.flat().map(() => status === 0));
    expect((await askCommand(state, 'sagas', '--state', 'open')).out.join()).toMatch(/^no such sagas/);
  });

  test('aborted while it copies leaves no copy', async () => {
    const { state, file, copies, before, fronts } = await scene({ bandwidth: 64 * 1024 });
    const running = startCommand(state, 'copy', '--group', file, '--id', 'g', '--json');
    await running.line(line => line.includes('"mirroring.mirrorDisks"'));
    const { status, out } = await askCommand(state, 'abort', 'g');
    expect(status, out.join('\n')).toBe(0);
    expect(await running.status).toBe(1);
    expect(await fronts()).toEqual(before);
    expect(copies.flat().filter(each => existsSync(each))).toEqual([]);
  });
});
