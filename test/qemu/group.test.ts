/** Snapshots of two real guests at one instant: on all disks of both, or on none of them. */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaResult } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { turns } from '../tiers/tier.ts';
import { askCommand, buildCommand, runCommand, startCommand } from './cli-process.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectTakenBack, type Stage, stage } from './witnessed.ts';
import { lookAt, type World } from './world.ts';

/** The events of the guests since `from`, by QEMU's own clocks, which are this machine's. */
function eventsMs(on: Stage, from: number, name: string): readonly number[] {
  return on.vm.witness.events
    .slice(from)
    .filter(({ event }) => event === name)
    .map(({ timestamp }) => timestamp.seconds * 1_000 + timestamp.microseconds / 1_000);
}

const inTurn = turns();

describeOnQemu('a group of two guests', () => {
  test('has both on their overlays, and both paused at one instant', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 3 });
    const heard = [a, b].map(on => on.vm.witness.events.length);
    const group = await a.engine.group([a.snapshotAll(), b.snapshotAll()]);
    const { outcome, error, members } = await group.result;
    expect({ outcome, error }).toEqual({ outcome: 'committed', error: null });
    const times = (name: string) => [a, b].map((on, at) => eventsMs(on, heard[at] ?? 0, name));
    expect(times('STOP').map(stops => stops.length)).toEqual([1, 1]);
    expect(times('RESUME').map(resumes => resumes.length)).toEqual([1, 1]);
    expect(Math.max(...times('STOP').flat())).toBeLessThan(Math.min(...times('RESUME').flat()));
    for (const [at, on] of [a, b].entries()) {
      const result = members[at];
      expect.assert(result !== undefined);
      await expectSwitched(on, result);
    }
  });

  test('has both on their old images where QEMU refuses the snapshot of one', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 2 });
    b.tap.before('transaction', () => {
      b.tap.before('blockdev-del', () => b.unspoil()); // what proves the headers closes nodes earlier
      return b.spoil(b.newFile(1));
    });
    const group = await a.engine.group([a.snapshotAll(), { ...b.snapshotAll(), ...b.tapped }]);
    const { error, members } = await group.result;
    expect(error).toMatchObject({ code: 'QMP_COMMAND', disk: 'dev1', step: 'takeSnapshotInPause' });
    await expectBothBack([a, b], members);
  });

  test('has both on their old images where a third party resumes one in the pause', async () => {
    await using a = await stage({ disks: 2 });
    await using b = await stage({ disks: 2 });
    b.tap.before('transaction', async () => {
      await expect.poll(async () => (await a.look()).status).toBe('paused');
      await sleep(systemClock, 200); // a has its overlays and has voted
      await a.vm.witness.execute('cont');
    });
    const group = await a.engine.group([a.snapshotAll(), { ...b.snapshotAll(), ...b.tapped }]);
    const { error, members } = await group.result;
    expect(error).toMatchObject({ code: 'FOREIGN', step: 'awaitGo' });
    await expectBothBack([a, b], members);
  });
});

describeOnQemu('blocksaga snapshot --group', () => {
  beforeAll(buildCommand);

  /** Two guests, a file that names them, and commands with one journal. */
  async function scene() {
    const state = temporaryFolder();
    const vms = await Promise.all(
      [0, 1].map(() => startGuestVm({ disks: 2, sizeBytes: 16 * 1024 * 1024, pacingUs: SLOW_PACING_US })),
    );
    for (const vm of vms) onTestFinished(() => vm[Symbol.asyncDispose]());
    const file = join(state, 'group.json');
    const guests = vms.map(({ directory, monitor }, at) => ({
      ...{ vm: `vm${at}`, qmp: monitor },
      disks: [0, 1].map(disk => ({ disk: `dev${disk}`, overlay: join(directory, `new${disk}.qcow2`) })),
    }));
    writeFileSync(file, JSON.stringify(guests));
    const looks = () => Promise.all(vms.map(vm => lookAt(vm, [])));
    return { state, file, looks };
  }

  /** On which side each guest is, and whether it runs. */
  async function sides(looks: () => Promise<readonly World[]>) {
    return (await looks()).map(({ status, fronts }) => {
      const files = fronts.map(({ chain }) => basename(chain[0] ?? ''));
      return [status, files.every(file => file.startsWith('new')) ? 'new' : files.join()] as const;
    });
  }

  test('puts both guests on their overlays and says of each and of the group what became of it', async () => {
    const { state, file, looks } = await scene();
    const { status, out, err } = await runCommand(state, 'snapshot', '--group', file, '--id', 'g');
    expect([status, err]).toEqual([0, '']);
    expect(await sides(looks)).toEqual([
      ['running', 'new'],
      ['running', 'new'],
    ]);
    const told = out.join('\n');
    expect(told).toMatch(
      /^group g: snapshots of 2 guests at one instant\n {2}saga g\.0: 2 disks of VM vm0\n/,
    );
    expect(told).toContain('saga g.1: committed, both disks have a new overlay');
    expect(told).toMatch(
      /\ngroup g: committed, both guests have their overlays, of one instant\n {2}no guest was paused for longer than \d+\.\d ms, \d+\.\d ms of it for one another$/,
    );
    expect((await askCommand(state, 'show', 'g')).out.join('\n')).toMatch(
      /^g: committed, group of 2 guests, begun .*\n {2}saga g\.0: committed, VM vm0\n {2}saga g\.1: committed, VM vm1\n {2}ended /,
    );
    const listed = (await askCommand(state, 'sagas', '--json')).out.map(line => JSON.parse(line));
    expect(listed).toMatchObject([{ group: 'g' }, { group: 'g' }, { id: 'g', members: ['g.0', 'g.1'] }]);
    const again = await askCommand(state, 'snapshot', '--group', file, '--id', 'g', '--json');
    const lines = again.out.map(line => JSON.parse(line));
    expect(lines[0]).toMatchObject({ type: 'group', id: 'g', members: [{ saga: 'g.0', vm: 'vm0' }, {}] });
    expect(lines.at(-1)).toMatchObject({
      ...{ type: 'groupResult', group: 'g', outcome: 'committed', error: null },
      members: [
        { saga: 'g.0', outcome: 'committed' },
        { saga: 'g.1', outcome: 'committed' },
      ],
    });
  });

  test.each(
    inTurn(['snapshotting.decideWithGroup', 'preparing.awaitMembers', 'snapshotting.together.awaitGo']),
  )('killed at %s is brought to one end on both guests by resume', async at => {
    const { state, file, looks } = await scene();
    const running = startCommand(state, 'snapshot', '--group', file, '--id', 'g', '--json');
    await running.line(line => line.includes(`"${at}"`));
    running.child.kill('SIGKILL');
    await running.status;
    const { status, out, err } = await askCommand(state, 'resume', 'g');
    expect([status === 0 || status === 1, err], out.join('\n')).toEqual([true, '']);
    const [a, b] = await sides(looks);
    expect(a).toEqual(b);
    expect(a).toEqual(['running', status === 0 ? 'new' : expect.not.stringContaining('new')]);
    expect((await askCommand(state, 'sagas', '--state', 'open')).out.join()).toMatch(/^no such sagas/);
  });
});

async function expectBothBack(stages: readonly Stage[], members: readonly SagaResult[]): Promise<void> {
  for (const [at, on] of stages.entries()) {
    const result = members[at];
    expect.assert(result !== undefined);
    await expectTakenBack(on, result);
  }
}
