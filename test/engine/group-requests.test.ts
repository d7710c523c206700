/** What a group is refused for before anything is touched, and what is given where its id is known already. */
import { describe, expect, it } from 'vitest';
import type { MemberPlan } from '../../src/engine/group-member.ts';
import { AllPlanned } from '../../src/engine/group-planned.ts';
import type { Files } from '../../src/images/files.ts';
import type { Group } from '../../src/index.ts';
import type { DiskPlan } from '../../src/plan/plan.ts';
import { often } from '../tiers/tier.ts';
import { Stage, VMS } from './group-stage.ts';
import { rejection } from './lives.ts';

type Requests = ReturnType<Stage['requests']>;

/** Two guests that work, one process, and what it is asked for by `change`. */
async function refused(change: (requests: Requests) => readonly Requests[number][]) {
  const stage = Stage.two();
  const process = stage.process(undefined);
  const requests = change(stage.requests(process.guests));
  const error = await stage.clock.run(rejection(process.engine.group(requests, { id: 'g' })));
  expect(process.journal.sagas()).toEqual([]);
  expect(stage.sent.filter(verb => !/query-|^qom-(list|get)$|^qmp_capabilities$/.test(verb))).toEqual([]);
  for (const sim of stage.sims) expect(sim.world.running).toBe(true);
  expect(await stage.clock.run(rejection(process.engine.planGroup(requests)))).toMatchObject({
    ...{ code: error.code, message: error.message },
  });
  return error;
}

describe('a group is refused, with nothing touched and nothing in the journal,', () => {
  it('that has no guests', async () => {
    expect(await refused(() => [])).toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('that has too many guests', async () => {
    const error = await refused(([one]) => Array.from({ length: 65 }, () => one as Requests[number]));
    expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining('at most 64') });
  });

  it('that names one monitor twice, before that is connected to', async () => {
    const error = await refused(([a, b]) => [a, { ...b, qmp: a?.qmp }] as Requests);
    expect(error).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('guests 1 and 2'),
    });
  });

  it('that names one VM twice, by two monitors', async () => {
    const error = await refused(([a, b]) => [a, { ...b, vm: 'a' }] as Requests);
    expect(error).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('the same VM "a"'),
    });
  });

  it('of which the last names a disk that is not there', async () => {
    const error = await refused(
      ([a, b]) => [a, { ...b, disks: [{ disk: 'none', overlay: '/b/x' }] }] as Requests,
    );
    expect(error).toMatchObject({
      code: 'UNKNOWN_DISK',
      message: expect.stringMatching(/^guest 2 of the group: /),
    });
  });

  it('of which the last wishes for what a group has not', async () => {
    const error = await refused(([a, b]) => [a, { ...b, quiesce: '/b/qga' }] as Requests);
    expect(error).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/^guest 2 of the group: /),
    });
  });
});

describe('a group whose guests are planned', () => {
  /** A host on which some names lead to one file. */
  const hostWith = (one: readonly string[] = []): Files => {
    const stat = async (path: string) => ({
      ...({ kind: 'file', sizeBytes: 1, identity: one.includes(path) ? 'one' : path } as const),
    });
    return { ...Stage.two().sims[0]?.files, stat } as Files;
  };
  const HOST = hostWith();

  const begun = async (change: (plan: MemberPlan) => MemberPlan, hosts: readonly (Files | null)[]) => {
    const stage = Stage.two();
    const { engine, guests } = stage.process(undefined);
    const [a, b] = await stage.clock.run(engine.planGroup(stage.requests(guests)));
    expect.assert(a !== undefined && b !== undefined);
    let times = 0;
    const all = new AllPlanned(2, async () => {
      times += 1;
    });
    const told = await Promise.allSettled(
      [a, change(b)].map((plan, at) =>
        all.planned(at, { vm: VMS[at] ?? '', plan, files: hosts[at] ?? null }),
      ),
    );
    const [first, second] = told.map(each => (each.status === 'rejected' ? each.reason : undefined));
    expect(second).toBe(first);
    expect(times).toBe(first === undefined ? 1 : 0);
    return first;
  };
  const onDisk = (change: (disk: DiskPlan) => DiskPlan) => (plan: MemberPlan) => ({
    ...plan,
    disks: plan.disks.map((disk, at) => (at === 0 ? change(disk) : disk)),
  });
  const overlay = (file: string) => onDisk(disk => ({ ...disk, image: { ...disk.image, file } }));
  const below = (file: string) =>
    onDisk(disk => ({ ...disk, chain: [...disk.chain, { file, driver: 'qcow2', node: null }] }));
  const SHARED = { code: 'DISK_UNSUPPORTED', message: expect.stringContaining('guest 2') };

  it('is begun once, when the last is planned', async () => {
    expect(await begun(plan => plan, [HOST, HOST])).toBeUndefined();
  });

  it('is refused for one new image of two guests', async () => {
    expect(await begun(overlay('/a/new1.qcow2'), [HOST, HOST])).toMatchObject(SHARED);
  });

  it('is refused for one new image by two names', async () => {
    const host = hostWith(['/a/new1.qcow2', '/link']);
    expect(await begun(overlay('/link'), [host, host])).toMatchObject(SHARED);
  });

  it('is refused for a guest that writes to what another has below its disk', async () => {
    expect(await begun(below('/a/new0.qcow2'), [HOST, HOST])).toMatchObject(SHARED);
  });

  it('is begun where equal names are of two hosts, or of hosts that are not known', async () => {
    expect(await begun(overlay('/a/new1.qcow2'), [HOST, hostWith()])).toBeUndefined();
    expect(await begun(overlay('/a/new1.qcow2'), [null, null])).toBeUndefined();
  });
});

describe('a group whose id is known', () => {
  const begun = async (stage = Stage.two()) => {
    const process = stage.process(undefined);
    const requests = stage.requests(process.guests);
    const group = await stage.clock.run(process.engine.group(requests, { id: 'g' }));
    return { stage, process, requests, group };
  };

  it('is the same group while it runs, and when it has ended', async () => {
    const { stage, process, requests, group } = await begun();
    const again = await stage.clock.run(process.engine.group(requests, { id: 'g' }));
    expect(again).toBe(group);
    const result = await stage.clock.run(group.result);
    expect(result).toMatchObject({
      outcome: 'committed',
      blackoutMs: expect.any(Number),
      waitedMs: expect.any(Number),
    });
    const later = await stage.clock.run(process.engine.group(requests, { id: 'g' }));
    expect(await stage.clock.run(later.result)).toMatchObject({
      ...{ group: 'g', outcome: 'committed', blackoutMs: result.blackoutMs, members: result.members },
    });
    expect(process.journal.sagas()).toHaveLength(3);
  });

  it('is refused for another request', async () => {
    const { stage, process, requests, group } = await begun();
    const other = requests.map(request => ({ ...request, maxBlackoutMs: 77 }));
    for (const _ of ['running', 'ended']) {
      const error = await stage.clock.run(rejection(process.engine.group(other, { id: 'g' })));
      expect(error).toMatchObject({ code: 'ID_CONFLICT' });
      await stage.clock.run(group.result);
    }
  });

  it('is not begun with the id of a saga, or with a member that has one', async () => {
    const { stage, process, requests, group } = await begun();
    await stage.clock.run(group.result);
    const own = await stage.clock.run(rejection(process.engine.group(requests, { id: 'g.0' })));
    expect(own).toMatchObject({ code: 'ID_CONFLICT' });
    const members = requests.map((request, at) => ({ ...request, id: `g.${at}` }));
    const error = await stage.clock.run(rejection(process.engine.group(members, { id: 'h' })));
    expect(error).toMatchObject({ code: 'ID_CONFLICT' });
    expect(process.journal.saga('h')).toBeUndefined();
  });

  it.each(['group', 'resumeGroup'] as const)(
    'is brought to its end by %s where its process has died, at whatever moment',
    async by => {
      const outcomes = new Set<string>();
      for (let diesAt = 4; ; diesAt += often(8, 3)) {
        const stage = Stage.two();
        const first = stage.process(undefined, diesAt);
        const asked = stage.requests(first.guests);
        const ended = first.engine.group(asked, { id: 'g' }).then(({ result }) => result);
        ended.catch(() => undefined);
        await stage.clock.run(Promise.race([ended, first.died]));
        if (first.left() === undefined) break;
        const second = stage.process(first.left());
        if (second.journal.saga('g') === undefined) continue;
        const requests = asked.map((request, at) => ({ ...request, ...second.guests[at] }));
        const again = await stage.clock.run<Group>(
          by === 'group'
            ? second.engine.group(requests, { id: 'g' })
            : second.engine.resumeGroup('g', { guests: requests }),
        );
        const { outcome, error } = await stage.clock.run(again.result);
        expect(['committed', 'rolledBack'], `${diesAt}: ${JSON.stringify(error)}`).toContain(outcome);
        expect(second.journal.saga('g')?.state).toBe(outcome);
        expect(second.journal.sagas({ state: 'open' })).toEqual([]);
        for (const sim of stage.sims) expect(sim.world.running).toBe(true);
        outcomes.add(outcome);
      }
      expect(outcomes).toEqual(new Set(['rolledBack', 'committed']));
    },
  );

  it('is rolled back by its abort before the decision, and says that it is too late behind it', async () => {
    const { stage, group } = await begun();
    expect(await stage.clock.run(group.abort())).toMatchObject({
      ...{ outcome: 'rolledBack', error: { code: 'ABORTED' } },
    });
    const other = await begun();
    await other.stage.clock.run(other.group.result);
    const late = await other.stage.clock.run(rejection(other.group.abort()));
    expect(late).toMatchObject({ code: 'SAGA_STATE' });
  });

  it('is refused where a saga is asked for, with the way to resume it', async () => {
    const { stage, process, group } = await begun();
    await stage.clock.run(group.result);
    expect(() => process.engine.saga('g')).toThrow(/"blocksaga resume g"/);
    expect(await stage.clock.run(rejection(process.engine.resume('g')))).toMatchObject({
      code: 'SAGA_STATE',
    });
    expect(await stage.clock.run(rejection(process.engine.resumeGroup('g.0')))).toMatchObject({
      code: 'SAGA_STATE',
    });
    expect(process.engine.sagas({ operation: 'group' }).sagas).toMatchObject([
      { id: 'g', state: 'committed' },
    ]);
  });
});
