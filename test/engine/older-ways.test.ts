/**
 * Copies and merges on QEMUs from before 3.1, which forget their jobs when they end and open new images by themselves: each
 * operation takes the best way that there is, says what is weaker, or is refused with what is missing.
 */
import { describe, expect, test } from 'vitest';
import type { SagaResult } from '../../src/index.ts';
import type { ProfileName } from '../../src/sim/index.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const MIRRORS = ['1.3', '2.4', '2.12'] as const satisfies readonly ProfileName[];
const COMMITS_ACTIVE = ['2.4', '2.12'] as const satisfies readonly ProfileName[];
const STREAMS = ['1.1', ...MIRRORS] as const satisfies readonly ProfileName[];
const QUERIES = /^(query-|qom-list|qmp_capabilities|x-debug-query-)/;

const OLD_FILES = [0, 1, 2].map(index => `/images/disk${index}.qcow2`);
const NEW_FILES = [0, 1, 2].map(index => `/images/new${index}.qcow2`);
const BASES = [0, 1, 2].map(index => `/images/disk${index}-base0.qcow2`);
const MIDDLES = [0, 1, 2].map(index => `/images/disk${index}-base1.qcow2`);

/** Three disks on chains of three images, with `-drive` names as every version knows them. */
function guestOn(profile: ProfileName, faults: readonly Fault[] = []) {
  const sim = smallSim({ profile, disks: 3, seed: 3, style: 'drive', backingLayers: 2, faults });
  const files = [...sim.world.host.files.keys()].sort();
  return {
    sim,
    life: live(sim),
    fronts: () => sim.world.fronts().map(({ path }) => path),
    /** Files that were not there before. */
    made: () => [...sim.world.host.files.keys()].filter(file => !files.includes(file)).sort(),
    isAtRest: () => [[...(sim.world.qemu?.jobs.keys() ?? [])], sim.world.qemu?.runState],
  };
}

type Guest = ReturnType<typeof guestOn>;

const disksOf = <D extends object>(change: (index: number) => D) =>
  [0, 1, 2].map(index => ({ disk: `drive${index}`, ...change(index) }));

const copyAll = ({ engine, guest }: Life, more: object = {}) =>
  engine.copy({ ...guest, id: 's', disks: disksOf(index => ({ to: NEW_FILES[index] ?? '' })), ...more });

async function copied({ sim, life }: Guest, more: object = {}): Promise<SagaResult> {
  return sim.run((await sim.run(copyAll(life, more))).result);
}

const AT_REST = [[], 'running'];

describe('a copy', () => {
  test.each(MIRRORS)(
    'switches all disks by drive-mirror, one after the other in one pause: %s',
    async profile => {
      const guest = guestOn(profile);
      const result = await copied(guest);
      expect(result).toMatchObject({
        outcome: 'committed',
        strategy: 'complete',
        error: null,
        leftovers: [],
      });
      expect(result.weaker).toEqual(expect.arrayContaining([expect.stringContaining('forgets jobs')]));
      expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([NEW_FILES, NEW_FILES, AT_REST]);
      expect(
        guest.life.sent.filter(name => /^(drive-mirror|block-job-complete|stop|cont)$/.test(name)),
      ).toEqual([
        ...Array<string>(3).fill('drive-mirror'),
        'stop',
        ...Array<string>(3).fill('block-job-complete'),
        'cont',
      ]);
    },
  );

  test.each(MIRRORS)('puts back what has switched when the last cannot: %s', async profile => {
    const guest = guestOn(profile, [{ kind: 'refuse', command: 'block-job-complete', nth: 3 }]);
    const result = await copied(guest);
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([OLD_FILES, [], AT_REST]);
    expect(guest.life.sent.filter(name => name === 'drive-mirror').length).toBe(5);
  });

  test.each(MIRRORS)('leaves no file when a mirror fails: %s', async profile => {
    const guest = guestOn(profile, [{ kind: 'jobFails', nth: 2, percent: 50 }]);
    expect(await copied(guest)).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED' } });
    expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([OLD_FILES, [], AT_REST]);
  });

  test.each(MIRRORS)('is a cut of all disks as a clone: %s', async profile => {
    const guest = guestOn(profile);
    expect(await copied(guest, { finish: 'clone' })).toMatchObject({ outcome: 'committed', error: null });
    expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([OLD_FILES, NEW_FILES, AT_REST]);
  });

  test.each(MIRRORS)('is taken back as a clone whose end was not seen: %s', async profile => {
    const guest = guestOn(profile, [{ kind: 'cut', effect: 'after', command: 'block-job-cancel', nth: 1 }]);
    const { outcome } = await copied(guest, { finish: 'clone' });
    expect(outcome).toBe('rolledBack');
    expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([OLD_FILES, [], AT_REST]);
  });

  test.each(MIRRORS)('that waits continues in another process, by its jobs: %s', async profile => {
    const { sim, life, fronts, made, isAtRest } = guestOn(profile);
    expect(await sim.run((await sim.run(copyAll(life, { finish: 'leave' }))).result)).toMatchObject({
      outcome: 'ready',
    });
    const next = live(sim, life.die());
    const saga = await sim.run(next.engine.resume('s', { ...next.guest, signal: 'pivot' }));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', error: null });
    expect([fronts(), made(), isAtRest()]).toEqual([NEW_FILES, NEW_FILES, AT_REST]);
    expect(next.sent).not.toContain('drive-mirror');
  });

  test.each(MIRRORS)('that dies between two switches is ended by the next process: %s', async profile => {
    const { sim, life, fronts, isAtRest } = guestOn(profile);
    const saga = await sim.run(copyAll(life));
    await sim.run(entered(saga, 'completeMirrors'));
    while (fronts()[0] !== NEW_FILES[0]) await sim.advance(0.1);
    expect(fronts()[2]).toBe(OLD_FILES[2]);
    const next = live(sim, life.die());
    const again = await sim.run(next.engine.resume('s', next.guest));
    expect(await sim.run(again.result)).toMatchObject({ outcome: 'committed', error: null });
    expect([fronts(), isAtRest()]).toEqual([NEW_FILES, AT_REST]);
  });

  test.each(['1.0', '1.1'] as const)(
    'is refused where there is no mirror, and says which QEMU has one: %s',
    async profile => {
      const { sim, life } = guestOn(profile);
      expect(await rejection(sim.run(copyAll(life)))).toMatchObject({
        code: 'CAPABILITY_MISSING',
        message: expect.stringMatching(/drive-mirror.*QEMU 1\.3 has$/),
      });
      expect(life.sent.filter(name => !QUERIES.test(name))).toEqual([]);
    },
  );

  test('is refused by a way that it has not', async () => {
    for (const strategy of ['reopen', 'finalize']) {
      const { sim, life } = guestOn('2.4');
      const refused = await rejection(sim.run(copyAll(life, { strategy })));
      expect(refused).toMatchObject({ code: 'CAPABILITY_MISSING' });
    }
  });

  test("is refused of a disk that is in the hands of a third party's job", async () => {
    const { sim, life } = guestOn('2.4', [{ kind: 'jobNeverReady', nth: 1 }]);
    sim.world.inject('block-stream', { device: 'drive1' });
    expect(await rejection(sim.run(copyAll(life)))).toMatchObject({ code: 'DISK_BUSY', disk: 'drive1' });
  });
});

const chainsOf = ({ disks }: SagaResult) => disks.map(({ after }) => after?.chain);

describe('a pull', () => {
  const pullAll = ({ engine, guest }: Life) =>
    engine.pull({ ...guest, id: 's', disks: disksOf(index => ({ base: BASES[index] ?? '' })) });

  test.each(STREAMS)('shortens all chains, the first disk deciding: %s', async profile => {
    const { sim, life, isAtRest } = guestOn(profile);
    const saga = await sim.run(pullAll(life));
    expect(saga.plan.weaker).toEqual(
      expect.arrayContaining([expect.stringContaining('no job can be held in PENDING')]),
    );
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(chainsOf(result)).toEqual([0, 1, 2].map(index => [OLD_FILES[index], BASES[index]]));
    expect(isAtRest()).toEqual(AT_REST);
  });

  test.each(STREAMS)('leaves all chains when the first cannot: %s', async profile => {
    const { sim, life } = guestOn(profile, [{ kind: 'jobFails', nth: 1, percent: 50 }]);
    const result = await sim.run((await sim.run(pullAll(life))).result);
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED' } });
    for (const chain of sim.world.fronts()) expect(chain.path).toBe(OLD_FILES[Number(chain.device.at(-1))]);
  });
});

describe('a commit', () => {
  test.each(MIRRORS)('takes the images in the middle out of all chains: %s', async profile => {
    const { sim, life } = guestOn(profile);
    const disks = disksOf(index => ({ top: MIDDLES[index] ?? '' }));
    const result = await sim.run((await sim.run(life.engine.commit({ ...life.guest, disks }))).result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(chainsOf(result)).toEqual([0, 1, 2].map(index => [OLD_FILES[index], BASES[index]]));
  });

  const activeAll = ({ engine, guest }: Life) =>
    engine.commit({ ...guest, id: 's', active: true, disks: disksOf(() => ({})) });

  test.each(COMMITS_ACTIVE)('of the active images switches all disks to their bases: %s', async profile => {
    const { sim, life, fronts, isAtRest } = guestOn(profile);
    const result = await sim.run((await sim.run(activeAll(life))).result);
    expect(result).toMatchObject({ outcome: 'committed', strategy: 'complete', error: null });
    expect([fronts(), isAtRest()]).toEqual([BASES, AT_REST]);
  });

  test.each(COMMITS_ACTIVE)('puts the overlays back when the last cannot: %s', async profile => {
    const guest = guestOn(profile, [{ kind: 'refuse', command: 'block-job-complete', nth: 3 }]);
    const result = await guest.sim.run((await guest.sim.run(activeAll(guest.life))).result);
    expect(result).toMatchObject({ outcome: 'rolledBack' });
    expect(chainsOf(result)).toEqual(
      [0, 1, 2].map(index => [OLD_FILES[index], MIDDLES[index], BASES[index]]),
    );
    expect(guest.isAtRest()).toEqual(AT_REST);
  });

  test('is refused where QEMU cannot, and says which one can', async () => {
    const refusalOf = async (profile: ProfileName) => {
      const { sim, life } = guestOn(profile);
      return (await rejection(sim.run(activeAll(life)))).message;
    };
    expect(await refusalOf('1.1')).toMatch(/block-commit.*QEMU 1\.3 has$/);
    expect(await refusalOf('1.3')).toMatch(/active-commit.*QEMU 2\.0 has$/);
  });
});

describe('a snapshot with mirrors', () => {
  const both = ({ engine, guest }: Life) =>
    engine.snapshot({
      ...{ ...guest, id: 's' },
      disks: disksOf(index => ({ overlay: `/images/snap${index}.qcow2`, mirror: NEW_FILES[index] ?? '' })),
    });

  test.each(COMMITS_ACTIVE)('is taken and switched to its mirrors: %s', async profile => {
    const { sim, life, fronts, isAtRest } = guestOn(profile);
    const saga = await sim.run(both(life));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'ready' });
    const result = await sim.run(saga.pivot());
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect([fronts(), isAtRest()]).toEqual([NEW_FILES, AT_REST]);
    expect(chainsOf(result)).toEqual([0, 1, 2].map(i => [NEW_FILES[i], OLD_FILES[i], MIDDLES[i], BASES[i]]));
  });

  test.each(COMMITS_ACTIVE)('is taken back whole: %s', async profile => {
    const guest = guestOn(profile);
    const saga = await guest.sim.run(both(guest.life));
    await guest.sim.run(saga.result);
    expect(await guest.sim.run(saga.abort())).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect([guest.fronts(), guest.made(), guest.isAtRest()]).toEqual([OLD_FILES, [], AT_REST]);
  });
});

describe('merging on QEMU 3.1, which keeps jobs and does not tell of the nodes below', () => {
  const chains = [0, 1, 2].map(index => [OLD_FILES[index], BASES[index]]);
  const whole = [0, 1, 2].map(index => [OLD_FILES[index], MIDDLES[index], BASES[index]]);
  const onEach = (files: readonly (string | undefined)[], key: 'top' | 'base') =>
    disksOf(index => ({ [key]: files[index] ?? '' }));

  test.each(['pull', 'commit'] as const)('a %s holds all jobs back, by the files', async operation => {
    const { sim, life, isAtRest } = guestOn('3.1');
    const { engine, guest } = life;
    const saga = await sim.run(
      operation === 'pull'
        ? engine.pull({ ...guest, disks: onEach(BASES, 'base') })
        : engine.commit({ ...guest, disks: onEach(MIDDLES, 'top') }),
    );
    expect(saga.plan).toMatchObject({ manualFinalize: true });
    expect(saga.plan.weaker).toBeUndefined();
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect([chainsOf(result), isAtRest()]).toEqual([chains, AT_REST]);
  });

  test.each([
    ['committed', undefined, BASES],
    ['rolledBack', { kind: 'pivotRefused', nth: 3 }, OLD_FILES],
  ] as const)(
    'a commit of the active images is held in PENDING too, and %s',
    async (outcome, fault, fronts) => {
      const guest = guestOn('3.1', fault === undefined ? [] : [fault]);
      const request = { ...guest.life.guest, active: true, disks: disksOf(() => ({})) };
      const result = await guest.sim.run((await guest.sim.run(guest.life.engine.commit(request))).result);
      expect(result).toMatchObject({ outcome, strategy: 'finalize' });
      expect([guest.fronts(), guest.isAtRest()]).toEqual([fronts, AT_REST]);
      if (outcome === 'rolledBack') expect(chainsOf(result)).toEqual(whole);
    },
  );
});
