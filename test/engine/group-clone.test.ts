/** Clones of two guests at one instant: all copies stand, or none, and no guest leaves its images. */
import { describe, expect, it } from 'vitest';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import type { Group } from '../../src/index.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { Stage, type StagedGuest, VMS } from './group-stage.ts';
import { rejection } from './lives.ts';

type Asked = readonly (ReturnType<Stage['clones']>[number] & { readonly bandwidth?: number })[];

/** Bytes a second: an image of the stage is copied for more than an hour. */
const SLOW = 16;

async function clone(
  stage: Stage,
  {
    change = asked => asked,
    meanwhile,
  }: { change?: (asked: Asked) => Asked; meanwhile?: (group: Group) => void } = {},
) {
  const process = stage.process(undefined);
  const begun = process.engine.group(change(stage.clones(process.guests)), { id: 'g' });
  const group = await stage.clock.run(begun);
  meanwhile?.(group);
  const result = await stage.clock.run(group.result);
  expect(process.journal.saga('g')?.state).toBe(result.outcome);
  return result;
}

const copiesOf = (stage: Stage, at: number) =>
  (stage.sims[at]?.world.fronts() ?? []).map((_, disk) => `/${VMS[at]}/new${disk}.qcow2`);
const frontsOf = (stage: Stage) => stage.sims.map(({ world }) => world.fronts().map(({ path }) => path));

/** No copy is there, and every guest runs on where it was. */
function expectAllBack(stage: Stage, fronts: readonly (readonly string[])[]): void {
  expect(frontsOf(stage)).toEqual(fronts);
  for (const [at, { world }] of stage.sims.entries()) {
    expect(world.running).toBe(true);
    expect(world.cutOfFronts()).toMatchObject({ consistent: true });
    for (const file of copiesOf(stage, at)) expect(world.host.image(file)).toBeUndefined();
  }
}

/** The copies of every guest go exactly as far as it had written when the first of them was resumed. */
function expectOneInstant(stage: Stage): void {
  const go = stage.pauses.find(({ verb }) => verb === 'cont');
  for (const [at, { world }] of stage.sims.entries()) {
    expect(go?.world[at]?.running, `guest ${VMS[at]} at the first cont`).toBe(false);
    const files = copiesOf(stage, at);
    const contents = new Map(files.map((file, disk) => [disk, world.readFile(file) ?? []] as const));
    expect(judgeWrites(contents, files.length)).toEqual({
      upTo: go?.world[at]?.acknowledged,
      why: undefined,
    });
  }
}

const late = (command: string, delayMs: number): Fault => ({ kind: 'replyLate', command, nth: 1, delayMs });
const refused = (command: string): Fault => ({ kind: 'refuse', command, lasting: true });

describe('clones of a group', () => {
  it.each<[string, StagedGuest[]]>([
    ['alike', [{}, {}]],
    [
      'of several versions',
      [{ profile: '5.2' }, { profile: '7.2', disks: 3 }, { profile: '11.1', disks: 1 }],
    ],
    ['of which one is paused late', [{}, { faults: [late('stop', 50)] }]],
    ['of which one ends its mirrors late', [{ faults: [late('block-job-cancel', 50)] }, {}]],
  ])('are of one instant, beside guests that run on where they were: %s', async (_, guests) => {
    const stage = new Stage(guests);
    const before = frontsOf(stage);
    expect(await clone(stage)).toMatchObject({ outcome: 'committed', error: null });
    expect(frontsOf(stage)).toEqual(before);
    expectOneInstant(stage);
    for (const { world } of stage.sims) expect(world.running).toBe(true);
  });

  it('pause no guest before the mirrors of all are ready, however long one copies', async () => {
    const stage = Stage.two();
    const change = ([a, b]: Asked): Asked => (a && b ? [a, { ...b, bandwidth: SLOW }] : []);
    const result = await clone(stage, { change });
    expect(result.outcome).toBe('committed');
    expectOneInstant(stage);
    const [first] = stage.pauses;
    expect(first?.atMs).toBeGreaterThan(60 * 60_000);
    expect(result.blackoutMs).toBeLessThan(1_000);
  });

  it.each<[string, Fault]>([
    ['the mirror of one is refused', refused('blockdev-mirror')],
    ['the image of one cannot be made', refused('blockdev-create')],
  ])('are all removed where %s, and no guest was paused', async (_, fault) => {
    const stage = Stage.two([fault]);
    const before = frontsOf(stage);
    const { outcome, error, members } = await clone(stage);
    expect({ outcome, code: error?.code }).toEqual({ outcome: 'rolledBack', code: 'QMP_COMMAND' });
    expect(members.map(member => member.error?.code)).toEqual(['GROUP', 'QMP_COMMAND']);
    expect(stage.pauses).toEqual([]);
    expectAllBack(stage, before);
  });

  it('are all taken back in the middle of their copying where one is aborted', async () => {
    const stage = Stage.two();
    const before = frontsOf(stage);
    const change = (asked: Asked) => asked.map(each => ({ ...each, bandwidth: SLOW }));
    const meanwhile = ({ members }: Group) => {
      stage.clock.after(10 * 60_000, () => void members[1]?.abort());
    };
    const { outcome, members } = await clone(stage, { change, meanwhile });
    expect(outcome).toBe('rolledBack');
    expect(members.map(({ error }) => [error?.code, error?.step])).toEqual([
      ['GROUP', 'mirrorDisks'],
      ['ABORTED', 'mirrorDisks'],
    ]);
    expect(stage.clock.now()).toBeLessThan(12 * 60_000);
    expect(stage.pauses).toEqual([]);
    expectAllBack(stage, before);
  });

  it('are given up while one copies, where the QEMU of one that waits for it dies', async () => {
    const stage = Stage.two();
    const change = ([a, b]: Asked): Asked => (a && b ? [a, { ...b, bandwidth: SLOW }] : []);
    const process = stage.process(undefined);
    const begun = process.engine.group(change(stage.clones(process.guests)), { id: 'g' });
    const group = await stage.clock.run(begun);
    stage.clock.after(10 * 60_000, () => stage.sims[0]?.kill());
    const { outcome, members } = await stage.clock.run(group.result);
    expect(outcome).toBe('needsRecovery');
    expect(members[1]).toMatchObject({
      outcome: 'rolledBack',
      error: { code: 'GROUP', step: 'mirrorDisks' },
    });
    expect(stage.clock.now()).toBeLessThan(20 * 60_000);
    expect(stage.pauses).toEqual([]);
    for (const file of copiesOf(stage, 1)) expect(stage.sims[1]?.world.host.image(file)).toBeUndefined();
  });

  it.each<[string, Fault]>([
    ['a third party resumes one in its pause', resumedAt('block-job-cancel')],
    [
      'one is migrated',
      {
        kind: 'otherClient',
        at: { when: 'before', command: 'stop', nth: 1 },
        execute: 'migrate',
        arguments: { uri: 'unix:/elsewhere' },
      },
    ],
    ['one hears nothing while it may be paused', late('block-job-cancel', 5_000)],
  ])('are all removed where %s', async (_, fault) => {
    const stage = Stage.two([fault]);
    const before = frontsOf(stage);
    expect((await clone(stage)).outcome).toBe('rolledBack');
    if (fault.kind !== 'otherClient' || fault.execute !== 'migrate') expectAllBack(stage, before);
    expect(frontsOf(stage)).toEqual(before);
    for (const at of VMS.slice(0, 2).keys())
      for (const file of copiesOf(stage, at)) expect(stage.sims[at]?.world.host.image(file)).toBeUndefined();
  });
});

describe('clones of a group are refused, with nothing touched,', () => {
  const asked = async (guests: readonly StagedGuest[], change: (asked: Asked) => readonly object[]) => {
    const stage = new Stage(guests);
    const process = stage.process(undefined);
    const requests = change(stage.clones(process.guests)) as Asked;
    const error = await stage.clock.run(rejection(process.engine.group(requests, { id: 'g' })));
    expect(process.journal.sagas()).toEqual([]);
    expect(stage.sims.map(({ world }) => world.qemu?.jobs.size)).toEqual(guests.map(() => 0));
    return error;
  };
  const second = (more: object) => (all: Asked) =>
    all.map((each, at) => (at === 1 ? { ...each, ...more } : each));

  it.each([
    ['that are to switch', second({ finish: 'pivot' }), 'a copy in a group is a clone'],
    ['that say nothing of their end', second({ finish: undefined }), 'a copy in a group is a clone'],
    ['that freeze a guest', second({ quiesce: '/run/b.qga' }), 'no quiesce'],
    [
      'beside a snapshot',
      ([a, b]: Asked) => [
        { ...a },
        { vm: 'b', qmp: b?.qmp, files: b?.files, disks: [{ disk: 'disk0', overlay: '/b/o.qcow2' }] },
      ],
      'guest 2 not: a group is one of clones, or one of snapshots',
    ],
  ])('%s', async (_, change, why) => {
    const error = await asked([{}, {}], change);
    expect(error).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining(why) });
  });

  it('of a QEMU that forgets how mirrors ended', async () => {
    const error = await asked([{}, { profile: '2.12' }], all => all);
    expect(error).toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringMatching(/^guest 2.*QEMU 3\.1/),
    });
  });
});

function resumedAt(command: string): Fault {
  return { kind: 'otherClient', at: { when: 'after', command, nth: 1 }, execute: 'cont' };
}
