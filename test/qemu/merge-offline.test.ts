/**
 * Merges whose QEMU was killed right behind the command that carries them out, finished or left by the real qemu-img, and
 * then booted from the images that the recovery names.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recoverOffline, type SagaResult } from '../../src/index.ts';
import { type Chained, chainInHeaders, disksOf, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSets, explain, imagesOf, stage } from './witnessed.ts';

type Begin = (on: Chained) => Promise<{ readonly result: Promise<SagaResult> }>;

const pull: Begin = on =>
  on.engine.pull({ ...on.tapped, disks: disksOf(on, index => ({ base: `dev${index}[2]` })) });
const commit: Begin = on =>
  on.engine.commit({ ...on.tapped, disks: disksOf(on, index => ({ top: `dev${index}[1]` })), delete: true });
const active: Begin = on =>
  on.engine.commit({
    ...{ ...on.tapped, disks: disksOf(on, () => ({})), active: true, delete: true, maxBlackoutMs: 30_000 },
  });

const filesIn = async ({ directory }: Chained) =>
  (await readdir(directory)).map(name => join(directory, name));

/** Kills QEMU when it has answered that command, or before it hears of it; gives what the saga's journal then leads to. */
async function killedAt(on: Chained, begin: Begin, when: 'before' | 'after', command: string) {
  on.tap[when](command, () => on.vm.kill());
  await expect((await begin(on)).result).resolves.toMatchObject({ outcome: 'needsRecovery' });
  expect(on.tap.pending).toEqual([]);
  const [row] = on.journal.sagas();
  return recoverOffline(on.journal, row?.id ?? '');
}

async function expectRecovered(on: Chained, result: SagaResult, chains: readonly (readonly string[])[]) {
  expect(result.boot?.map(({ file }) => file)).toEqual(chains.map(([front]) => front));
  expect(result.disks.map(({ after }) => after?.chain)).toEqual(chains);
  for (const chain of chains) expect(await chainInHeaders(chain[0] ?? '')).toEqual(chain);
  await expectSets(on, { front: imagesOf(chains.map(([front = '']) => front)) });
  const left = (await filesIn(on)).filter(file => !on.before.files.includes(file));
  expect(left).toEqual([]);
}

const withoutMiddle = ([front = '', , base = '']: readonly string[]) => [front, base];
const lowest = (chain: readonly string[]) => chain.slice(-1);

describeOnQemu('a merge whose QEMU was killed', () => {
  // Mostly waiting, for a QEMU that does not come back.
  test.concurrent.each([
    ['pull', pull, 'block-stream'],
    ['commit', commit, 'block-commit'],
  ] as const)('before the decision of a %s has every chain as it was', async (_what, begin, command) => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const result = await killedAt(on, begin, 'after', command);
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack' });
    await expectRecovered(on, result, on.chains);
  });

  test.concurrent.each(['before', 'after'] as const)(
    '%s the first of a pull’s jobs was finalized is finished',
    async when => {
      await using on = await withChains(await stage({ disks: 2 }), 2);
      const result = await killedAt(on, pull, when, 'job-finalize');
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', leftovers: [] });
      await expectRecovered(on, result, on.chains.map(withoutMiddle));
    },
  );

  test.concurrent.each(['before', 'after'] as const)(
    '%s the first of a commit’s jobs was finalized is finished, and the files go',
    async when => {
      await using on = await withChains(await stage({ disks: 2 }), 2);
      const result = await killedAt(on, commit, when, 'job-finalize');
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', leftovers: [] });
      await expectRecovered(on, result, on.chains.map(withoutMiddle));
      const files = await filesIn(on);
      expect(on.chains.map(([, middle = '']) => files.includes(middle))).toEqual([false, false]);
    },
  );

  test.concurrent('while active images are committed has them in front before the switch, their bases after it', async () => {
    {
      await using on = await withChains(await stage({ disks: 2 }), 2);
      const result = await killedAt(on, active, 'before', 'stop');
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack' });
      await expectRecovered(on, result, on.chains);
    }
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const result = await killedAt(on, active, 'after', 'cont');
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', leftovers: [] });
    await expectRecovered(on, result, on.chains.map(lowest));
  });
});
