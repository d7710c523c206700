/**
 * QEMUs from before jobs and node names could be asked about: what is possible there is done, and all else is refused in
 * our own words before anything is touched. No such binary was at hand: the simulator stands for them.
 */
import { describe, expect, it } from 'vitest';
import { createEngine, memoryJournal, type SagaResult } from '../../src/index.ts';
import { createSim, type ProfileName, type Sim } from '../../src/sim/index.ts';

const WITH_TRANSACTION = ['1.1', '1.3', '2.4'] as const satisfies readonly ProfileName[];

interface Guest {
  readonly sim: Sim;
  readonly disks: readonly string[];
  /** What stands in front of each disk. */
  fronts(): readonly string[];
  snapshot(disks: readonly string[], more?: object): Promise<SagaResult>;
  readonly sent: readonly string[];
}

function guestOn(profile: ProfileName, count: number, options: Parameters<typeof createSim>[0] = {}): Guest {
  const sim = createSim({ profile, disks: count, seed: 3, ...options });
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const sent: string[] = [];
  const qmp: typeof sim.connect = async handlers => {
    const transport = await sim.connect(handlers);
    return {
      send(messages) {
        for (const message of messages) sent.push(String((message as { readonly execute: string }).execute));
        transport.send(messages);
      },
      close: () => transport.close(),
    };
  };
  const common = { qmp, files: sim.files };
  const disks = Array.from({ length: count }, (_, index) => `drive${index}`);
  return {
    sim,
    disks,
    sent,
    fronts: () => sim.world.fronts().map(({ path }) => path ?? ''),
    async snapshot(names, more = {}) {
      const wanted = names.map(disk => ({ disk, overlay: `/images/${disk}.s1.qcow2` }));
      const saga = await sim.run(engine.snapshot({ ...common, ...more, disks: wanted }));
      return sim.run(saga.result);
    },
  };
}

const QUERIES = /^(query-|qom-list|qmp_capabilities|x-debug-query-)/;

describe('a snapshot on an old QEMU', () => {
  it.each(WITH_TRANSACTION)('is one transaction over all disks: %s', async profile => {
    const guest = guestOn(profile, 3);
    const result = await guest.snapshot(guest.disks);
    expect(result).toMatchObject({ outcome: 'committed', strategy: 'transactionSync', error: null });
    expect(result.disks.map(disk => disk.after?.file)).toEqual(
      guest.disks.map(disk => `/images/${disk}.s1.qcow2`),
    );
    expect(guest.fronts()).toEqual(guest.disks.map(disk => `/images/${disk}.s1.qcow2`));
    expect(guest.sim.world.qemu?.runState).toBe('running');
    expect(guest.sent.filter(name => name === 'blockdev-snapshot-sync')).toEqual([]);
  });

  it.each(WITH_TRANSACTION)('leaves every disk and no file when it is refused: %s', async profile => {
    const guest = guestOn(profile, 3, { faults: [{ kind: 'refuse', command: 'transaction' }] });
    const before = guest.fronts();
    const files = [...guest.sim.world.host.files.keys()];
    const result = await guest.snapshot(guest.disks);
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [], error: { code: 'QMP_COMMAND' } });
    expect(guest.fronts()).toEqual(before);
    expect([...guest.sim.world.host.files.keys()]).toEqual(files);
  });

  it.each(WITH_TRANSACTION)('is committed when the reply is lost: %s', async profile => {
    const guest = guestOn(profile, 2, { faults: [{ kind: 'cut', effect: 'after', command: 'transaction' }] });
    expect(await guest.snapshot(guest.disks)).toMatchObject({ outcome: 'committed' });
    expect(guest.fronts()).toEqual(guest.disks.map(disk => `/images/${disk}.s1.qcow2`));
  });

  it('is committed though QEMU refuses to be asked afterwards: it could not be taken back', async () => {
    const guest = guestOn('1.3', 2, { faults: [{ kind: 'refuse', command: 'query-block', nth: 4 }] });
    expect(await guest.snapshot(guest.disks)).toMatchObject({ outcome: 'committed' });
    const asked = guest.sent.slice(guest.sent.indexOf('transaction') + 1);
    expect(asked.filter(name => name === 'query-block').length).toBeGreaterThan(1);
  });

  it('is taken of one disk where there is no transaction, with the guest stopped for it', async () => {
    const guest = guestOn('1.0', 2);
    const result = await guest.snapshot(['drive1']);
    expect(result).toMatchObject({ outcome: 'committed', strategy: 'sequential', error: null });
    expect(guest.fronts()).toEqual(['/images/disk0.qcow2', '/images/drive1.s1.qcow2']);
    expect(guest.sent.filter(name => !QUERIES.test(name))).toEqual([
      'stop',
      'blockdev-snapshot-sync',
      'cont',
    ]);
    expect(guest.sim.world.qemu?.runState).toBe('running');
  });

  it('leaves that one disk and no file when it is refused', async () => {
    const guest = guestOn('1.0', 1, { faults: [{ kind: 'refuse', command: 'blockdev-snapshot-sync' }] });
    expect(await guest.snapshot(guest.disks)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(guest.fronts()).toEqual(['/images/disk0.qcow2']);
    expect(guest.sim.world.qemu?.runState).toBe('running');
  });

  it('of several disks is refused where neither a transaction nor an undo exists', async () => {
    for (const [profile, without] of [
      ['1.0', []],
      ['1.3', ['transaction']],
    ] as const) {
      const guest = guestOn(profile, 2);
      await expect(guest.snapshot(guest.disks, { without })).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
        message: expect.stringContaining('all or none'),
      });
      expect(guest.sent.filter(name => !QUERIES.test(name))).toEqual([]);
    }
  });

  it('of several disks without a transaction is taken back by active commits, from 2.0 on', async () => {
    const faults = [{ kind: 'refuse', command: 'blockdev-snapshot-sync', nth: 3 }] as const;
    const guest = guestOn('2.4', 3, { faults });
    const result = await guest.snapshot(guest.disks, { without: ['transaction'] });
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [], error: { disk: 'drive2' } });
    expect(guest.fronts()).toEqual([0, 1, 2].map(index => `/images/disk${index}.qcow2`));
    expect(guest.sent.filter(name => name === 'block-commit').length).toBe(2);
    expect(guest.sim.world.qemu?.runState).toBe('running');
  });

  it('is planned by what QEMU tells of the images that are out of reach', async () => {
    const { sim, disks } = guestOn('1.1', 1, { backingLayers: 2 });
    const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
    const chainOf = async (files: typeof sim.files) => {
      const wanted = disks.map(disk => ({ disk, overlay: '/images/s1.qcow2' }));
      const plan = await sim.run(engine.planSnapshot({ qmp: sim.connect, files, disks: wanted }));
      return plan.disks[0]?.chain.map(({ file }) => file);
    };
    const chain = ['/images/disk0.qcow2', '/images/disk0-base1.qcow2', '/images/disk0-base0.qcow2'];
    expect(await chainOf(sim.files)).toEqual(chain);
    const isBelow = (path: string) => path.includes('-base');
    const stat: typeof sim.files.stat = async path => (isBelow(path) ? undefined : sim.files.stat(path));
    expect(await chainOf({ ...sim.files, stat })).toEqual(chain.slice(0, 2));
  });

  it('says where it cannot be rolled back any more', async () => {
    const said = expect.arrayContaining([
      expect.stringContaining('cannot be rolled back while the guest runs'),
    ]);
    const older = guestOn('1.3', 2);
    expect((await older.snapshot(older.disks)).weaker).toEqual(said);
    const newer = guestOn('2.4', 2);
    expect((await newer.snapshot(newer.disks)).weaker).not.toEqual(said);
  });
});

describe('a copy on QEMU 3.1', () => {
  it('works, which can neither reopen nor leave out chains when it lists nodes', async () => {
    const sim = createSim({ profile: '3.1', disks: 2, seed: 3 });
    const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
    const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` }));
    const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, disks }));
    expect(await sim.run(saga.result)).toMatchObject({ outcome: 'committed', strategy: 'finalize' });
  });
});
