/** Snapshots of a guest whose file systems are frozen meanwhile, through a guest agent that works, fails or hangs. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { type AgentFaults, fakeAgent } from './fake-agent.ts';
import { impatient } from './impatient.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectCloned, expectSwitched, expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

/** Submits a quiesced snapshot of all disks; `log` gets the agent's commands and the switch in their order. */
async function snapshotQuiesced(on: Stage, log: string[], faults: AgentFaults, without: string[] = []) {
  const agent = await fakeAgent(join(on.directory, 'qga'), log, faults);
  // Only an agent that does not answer is to be given up soon: on a busy machine others may be slow as well.
  const clock = faults.freezeMs === undefined ? systemClock : impatient;
  const engine = createEngine({ journal: on.journal, clock });
  for (const command of ['stop', 'cont', 'transaction', 'blockdev-snapshot-sync']) {
    on.tap.before(command, async () => log.push(command));
  }
  const saga = await engine.snapshot({ ...on.snapshotAll(), ...on.tapped, quiesce: agent.path, without });
  return { agent, result: await saga.result };
}

// At the same time: most of this is waiting for an agent.
describeOnQemu('a quiesced snapshot', () => {
  test.concurrent('is taken between freeze and thaw', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await snapshotQuiesced(on, log, {});
    expect(log).toEqual(['guest-fsfreeze-freeze', 'transaction', 'guest-fsfreeze-thaw']);
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectSwitched(on, result);
  });

  test.concurrent('one by one freezes before the guest stops and thaws after it runs', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await snapshotQuiesced(on, log, {}, ['transaction']);
    expect(log).toEqual([
      'guest-fsfreeze-freeze',
      'stop',
      'blockdev-snapshot-sync',
      'cont',
      'guest-fsfreeze-thaw',
    ]);
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectSwitched(on, result);
  });

  test.concurrent.each<{ what: string; faults: AgentFaults; code: string }>([
    { what: 'fails after it froze something', faults: { refuseFreeze: true }, code: 'QMP_COMMAND' },
    { what: 'answers too late', faults: { freezeMs: 9_000 }, code: 'QMP_TIMEOUT' },
  ])('whose freeze $what is taken back and thawed', async ({ faults, code }) => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await snapshotQuiesced(on, log, faults);
    expect(result.error, explain(result)).toMatchObject({ code, step: 'freezeGuest' });
    expect(log).not.toContain('transaction');
    expect(log.at(-1)).toBe('guest-fsfreeze-thaw');
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectTakenBack(on, result);
  });

  test.concurrent('whose agent hangs for ever touches no disk and says that the thaw is open', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await snapshotQuiesced(on, log, { freezeMs: Number.POSITIVE_INFINITY });
    expect(result).toMatchObject({ outcome: 'needsRecovery', error: { code: 'QMP_TIMEOUT' } });
    expect(log).not.toContain('transaction');
    expect((await on.look()).fronts).toEqual(on.before.fronts);
    await agent[Symbol.asyncDispose]();
  });

  test.concurrent('without anybody at the agent socket is taken back', async () => {
    await using on = await stage({ disks: 2 });
    const request = { ...on.snapshotAll(), quiesce: join(on.directory, 'no-agent') };
    const result = await (await on.engine.snapshot(request)).result;
    expect(result.error).toMatchObject({ code: 'QMP_CONNECT' });
    await expectTakenBack(on, result);
  });

  test.concurrent('of a guest that a third party has frozen before is taken back and leaves it frozen', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await snapshotQuiesced(on, log, { frozenBefore: true });
    expect(result.error).toMatchObject({ code: 'QMP_COMMAND', step: 'freezeGuest' });
    expect(log).toEqual(['guest-fsfreeze-freeze']);
    expect(agent.frozen()).toBe(true);
    await agent[Symbol.asyncDispose]();
    await expectTakenBack(on, result);
  });

  test.concurrent('that fails in the switch is thawed', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    on.tap.before('transaction', () => {
      on.tap.before('blockdev-del', () => on.unspoil()); // what proves the headers closes nodes earlier
      return on.spoil(on.newFile(1));
    });
    const { agent, result } = await snapshotQuiesced(on, log, {});
    // A `cont` to a guest that runs is no harm.
    expect(log.filter(command => command !== 'cont')).toEqual([
      'guest-fsfreeze-freeze',
      'transaction',
      'guest-fsfreeze-thaw',
    ]);
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectTakenBack(on, result);
  });
});

/** Clones all disks with the guest frozen for the instant of the cut. */
async function cloneQuiesced(on: Stage, log: string[], faults: AgentFaults) {
  const agent = await fakeAgent(join(on.directory, 'qga'), log, faults);
  const clock = faults.freezeMs === undefined ? systemClock : impatient;
  const engine = createEngine({ journal: on.journal, clock });
  for (const command of ['stop', 'cont']) on.tap.before(command, async () => log.push(command));
  const request = { ...on.copyAll(), ...on.tapped, finish: 'clone' as const, quiesce: agent.path };
  const result = await (await engine.copy(request)).result;
  return { agent, result };
}

describeOnQemu('a quiesced clone', () => {
  test.concurrent('is cut between freeze and thaw, in one pause', async () => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await cloneQuiesced(on, log, {});
    expect(log).toEqual(['guest-fsfreeze-freeze', 'stop', 'cont', 'guest-fsfreeze-thaw']);
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectCloned(on, result);
  });

  test.concurrent.each<{ what: string; faults: AgentFaults; code: string }>([
    { what: 'fails after it froze something', faults: { refuseFreeze: true }, code: 'QMP_COMMAND' },
    { what: 'answers too late', faults: { freezeMs: 9_000 }, code: 'QMP_TIMEOUT' },
  ])('whose freeze $what is rolled back and thawed', async ({ faults, code }) => {
    await using on = await stage({ disks: 2 });
    const log: string[] = [];
    const { agent, result } = await cloneQuiesced(on, log, faults);
    expect(result.error, explain(result)).toMatchObject({ code, step: 'freezeGuest' });
    expect(log).not.toContain('stop');
    expect(log.at(-1)).toBe('guest-fsfreeze-thaw');
    expect(agent.frozen()).toBe(false);
    await agent[Symbol.asyncDispose]();
    await expectTakenBack(on, result);
  });
});

test('a copy that is switched to has no instant to freeze the guest for', async () => {
  const engine = createEngine({ journal: memoryJournal() });
  const disks = [{ disk: 'disk0', to: '/new/a.qcow2' }];
  await expect(engine.copy({ qmp: '/run/none', disks, quiesce: '/run/vm.qga' })).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
    message: expect.stringContaining('finish=clone'),
  });
});
