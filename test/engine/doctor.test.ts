import { describe, expect, test } from 'vitest';
import { examine, removeFindings } from '../../src/engine/doctor/doctor.ts';
import type { Removable } from '../../src/engine/doctor/finding.ts';
import { type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import { sagaToken } from '../../src/plan/names.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { entered, type Life, live, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const DISKS = NEW.map((to, index) => ({ disk: `dev${index}`, to }));
const STEM = `bs-${sagaToken('s')}`;

const copy = (sim: Sim, { engine, guest }: Life, finish: 'pivot' | 'leave' | 'abort' = 'pivot') =>
  sim.run(engine.copy({ ...guest, id: 's', vm: 'web', disks: DISKS, finish }));

async function look(sim: Sim, state?: MemoryJournalState): Promise<readonly Removable[]> {
  const qmp = await sim.run(openQmpClient(sim.monitor('doctor'), { clock: sim.clock }));
  const options = { journal: memoryJournal(state), files: sim.files, images: virtualImages(sim) };
  try {
    return await sim.run(examine({ ...options, qmp }));
  } finally {
    qmp.close();
    await sim.advance(1);
  }
}

const shape = (findings: readonly Removable[]) =>
  findings.map(
    ({ kind, name, saga, removable }) => `${kind} ${name} ${saga} ${removable ? 'goes' : 'stays'}`,
  );
const words = (findings: readonly Removable[]) => findings.map(finding => finding.why).join('\n');

/** What every result has. */
const wholeResult = {
  saga: 's',
  operation: 'copy',
  outcome: 'rolledBack',
  strategy: null,
  disks: [],
  blackoutMs: null,
  error: null,
};

describe('the doctor', () => {
  test('finds nothing after sagas that ended well: the images that the guest is on are no leftovers', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life)).result);
    expect(await look(sim, life.die())).toEqual([]);
  });

  test('points to resume for a saga whose process died, and takes nothing of it away', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life, 'leave')).result);
    const state = life.die();
    const findings = await look(sim, state);
    expect(shape(findings)).toEqual(
      expect.arrayContaining([
        'saga s s stays',
        `job ${STEM}-0-job s stays`,
        `node ${STEM}-0 s stays`,
        `group ${STEM}-group s stays`,
      ]),
    );
    expect(findings.every(({ why }) => /blocksaga (resume|pivot) s/.test(why))).toBe(true);
    await sim.run(removeFindings(findings));
    expect(shape(await look(sim, state))).toEqual(shape(findings));
    const next = live(sim, state);
    const saga = await sim.run(next.engine.resume('s', { ...next.guest, signal: 'pivot' }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
  });

  test('tells of a job on a QEMU before 3.0, which has no query-jobs, and how it is ended there', async () => {
    const sim = smallSim({ profile: '2.12' });
    const life = live(sim);
    await sim.run((await copy(sim, life, 'leave')).result);
    const told = (await look(sim)).find(({ name }) => name === `${STEM}-0-job`);
    expect(told?.why).toContain("QMP's block-job-cancel leaves it");
    expect(shape(await look(sim, life.die()))).toContain(`job ${STEM}-0-job s stays`);
  });

  test('tells of a copy that waits whether its mirrors still follow, have failed, or are not in this QEMU', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life, 'leave')).result);
    const state = life.die();
    const waits = async () => (await look(sim, state)).find(({ kind }) => kind === 'saga')?.why;
    expect(await waits()).toMatch(/no process watches it: its mirrors follow the guest: "blocksaga pivot s"/);
    sim.world.inject('job-cancel', { id: `${STEM}-1-job` });
    await sim.advance(1_000);
    expect(await waits()).toMatch(/cannot be switched any more: .*dev1 failed/);
    sim.kill();
    sim.restart();
    expect(await waits()).toMatch(/nothing of it is in this QEMU.*VM web.*resume --offline s/);
  });

  test('says that a guest is paused because of a saga that died while switching', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run(entered(await copy(sim, life), 'endMirrorsInPlace'));
    const state = life.die();
    await sim.advance(1);
    expect(sim.world.running).toBe(false);
    const [guest] = (await look(sim, state)).filter(({ kind }) => kind === 'guest');
    expect(guest?.why).toMatch(/the guest is paused, perhaps by a saga.*blocksaga resume s/);
  });

  test('leaves alone what no saga of the journal made, and says where to look, also of a paused guest', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run(entered(await copy(sim, life), 'endMirrorsInPlace'));
    life.die();
    await sim.advance(1);
    const findings = await look(sim);
    expect(findings.length).toBeGreaterThan(3);
    expect(findings.every(({ saga, removable }) => saga === null && !removable)).toBe(true);
    expect(words(findings)).toMatch(/find the journal of that saga before you resume the guest/);
    expect(words(findings)).toMatch(/does not know: name the journal that does with --journal/);
    const before = sim.world.qemu;
    await sim.run(removeFindings(findings));
    expect(sim.world.qemu).toBe(before);
  });

  test('removes what an ended saga left in QEMU, but not what something uses', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life, 'abort')).result);
    const state = life.die();
    const add = (name: string, group: string) =>
      sim.world.inject('object-add', { 'qom-type': 'throttle-group', id: `${name}-${group}` });
    add(STEM, 'group');
    add(`bs-${sagaToken('other')}`, 'group');
    const file = { driver: 'file', filename: '/images/spare.raw' };
    sim.world.host.write('/images/spare.raw', {
      format: 'raw',
      sizeBytes: 65_536,
      backing: undefined,
      backingFormat: undefined,
      contents: [],
    });
    sim.world.inject('blockdev-add', { driver: 'raw', 'node-name': `${STEM}-1`, file });
    const findings = await look(sim, state);
    expect(shape(findings)).toEqual([
      `node ${STEM}-1 s goes`,
      `group ${STEM}-group s goes`,
      `group bs-${sagaToken('other')}-group null stays`,
    ]);
    const qmp = await sim.run(openQmpClient(sim.connect, { clock: sim.clock }));
    const seen = await sim.run(
      examine({ journal: memoryJournal(state), qmp, files: sim.files, images: virtualImages(sim) }),
    );
    const results = await sim.run(removeFindings(seen));
    qmp.close();
    expect(results.map(({ removed }) => removed)).toEqual([true, true, false]);
    expect(shape(await look(sim, state))).toEqual([`group bs-${sagaToken('other')}-group null stays`]);
  });

  test('tells what could not be removed after all, and goes on with the rest', async () => {
    const sim = smallSim();
    const life = live(sim);
    await sim.run((await copy(sim, life, 'abort')).result);
    const state = life.die();
    sim.world.inject('object-add', { 'qom-type': 'throttle-group', id: `${STEM}-group` });
    const findings = await look(sim, state);
    const results = await sim.run(removeFindings(findings)); // its connection is closed by now
    expect(results).toMatchObject([{ removed: false, why: expect.stringMatching(/could not be removed/) }]);
  });
});

describe('a file that a saga left behind', () => {
  /** A saga that was taken back, with its files still there. */
  async function withFiles(sim: Sim): Promise<MemoryJournalState> {
    const life = live(sim);
    await sim.run((await copy(sim, life, 'leave')).result);
    const state = life.die();
    sim.kill();
    const sagas = state.sagas.map(({ row, records }) => ({
      row: { ...row, state: 'rolledBack' as const, result: { ...wholeResult, leftovers: [NEW[0] ?? ''] } },
      records,
    }));
    return { ...state, sagas, claims: [] };
  }

  const examineFiles = (sim: Sim, state: MemoryJournalState) =>
    examine({ journal: memoryJournal(state), files: sim.files, images: virtualImages(sim) });

  test('is removed when it is the very file that the saga made', async () => {
    const sim = smallSim();
    const state = await withFiles(sim);
    const findings = await examineFiles(sim, state);
    expect(shape(findings)).toEqual(NEW.map(file => `file ${file} s goes`));
    await removeFindings(findings);
    expect(sim.files.list()).toEqual(['/images/disk0.qcow2', '/images/disk1.qcow2']);
    expect(await examineFiles(sim, state)).toEqual([]);
  });

  test('stays when another one took its place, and is told only if the saga left one there', async () => {
    const sim = smallSim();
    const state = await withFiles(sim);
    for (const file of NEW) {
      const image = sim.world.host.image(file);
      sim.world.host.unlink(file);
      if (image !== undefined) sim.world.host.write(file, image);
    }
    const findings = await examineFiles(sim, state);
    expect(shape(findings)).toEqual([`file ${NEW[0]} s stays`]);
    expect(words(findings)).toMatch(/cannot be proved/);
  });

  test('is no find when another saga has the file', async () => {
    const sim = smallSim();
    const state = await withFiles(sim);
    const [stored] = state.sagas;
    expect.assert(stored !== undefined);
    const other = { ...stored.row, id: 'again', state: 'committed' as const };
    const sagas = [...state.sagas, { row: other, records: [] }];
    expect(await examineFiles(sim, { ...state, sagas })).toEqual([]);
  });
});
