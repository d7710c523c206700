/**
 * The name of an image leads to another file when a saga is planned, as /proc tells: QEMU has the right one open. A copy may bring its disk
 * to another image; what stands under the name is not opened to bring it back, nor booted from, nor written to.
 */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { Files } from '../../src/images/files.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { identityOf } from '../../src/sim/host/virtual-files.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { live, rejection, smallSim } from './lives.ts';

const OLD = '/images/disk0.qcow2';

/** This machine's files, with a /proc that tells what QEMU has open. */
function provable(sim: Sim): Files {
  return {
    ...sim.files,
    isShared: async () => true,
    openInQemu: async () => {
      const { qemu, host } = sim.world;
      const names = [...(qemu?.nodes.values() ?? [])].flatMap(({ opened }) => opened ?? []);
      return new Set(names.flatMap(name => host.file(name) ?? []).map(identityOf));
    },
  };
}

/** A copy of two disks by `finalize`, of which the second cannot be switched; the nodes of -drive are closed by a switch. */
async function copied(isAstray: boolean) {
  const sim = smallSim({
    style: 'drive',
    faults: [{ kind: 'pivotRefused', nth: 6 }],
  });
  const thirdParty = createForeignFiles(sim.world.host, () => 0);
  if (isAstray) thirdParty.act({ path: OLD, how: 'replace' });
  const life = live(sim);
  const disks = [0, 1].map(index => ({ disk: `dev${index}`, to: `/images/new${index}.qcow2` }));
  const files = provable(sim);
  const request = { ...life.guest, files, id: 's', vm: 'web', strategy: 'finalize' as const, disks };
  const saga = await sim.run(life.engine.copy(request));
  const result = await sim.run(saga.result);
  const theirs = thirdParty.moved[0]?.made;
  const isAsMade = () => sim.world.host.files.get(OLD)?.written === theirs?.written;
  return { sim, life, result, files, isAsMade };
}

test('a copy that fails is taken back where each name led to its file', async () => {
  const { result } = await copied(false);
  expect(result.outcome).toBe('rolledBack');
});

test('a disk whose name led elsewhere is not taken back by that name, but by an administrator’s word', async () => {
  const { sim, life, result, isAsMade } = await copied(true);
  expect(result).toMatchObject({
    outcome: 'needsRecovery',
    error: {
      message: expect.stringMatching(`it is to return to ${OLD}.*could not be proved.*--accept-image`),
    },
  });
  expect(isAsMade()).toBe(true);
  const state = life.die();
  sim.kill();
  const recover = (acceptImages: readonly string[] = []) =>
    recoverOffline(memoryJournal(state), 's', { files: sim.files, images: virtualImages(sim), acceptImages });
  const asked = await rejection(recover());
  expect(asked).toMatchObject({ code: 'FILES' });
  expect(asked.message).toContain(`${OLD} could not be proved to be the image that QEMU had there`);
  expect(asked.message).toContain('stood there when the saga was planned');
  expect(isAsMade()).toBe(true);
});
