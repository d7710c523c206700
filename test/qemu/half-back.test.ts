/**
 * A commit of active images that is taken back overlay by overlay, and whose second one cannot be opened again: the guest stays paused, as the
 * one below hides what was merged beneath it, and reads the newest again once the rest is back.
 */
import { rename } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type Chained, disksOf, expectChains, withChains } from './chained.ts';
import { onEachVersion } from './each-version.ts';
import { explain, stage } from './witnessed.ts';

interface Node {
  readonly 'node-name': string;
  readonly drv: string;
}

/** The active image of the first disk, opened again. */
const REVIVED = /^bs-\w+-0-old$/;

/** Another client ends the job of the second disk, when the first is about to be switched. */
async function cancelSecond({ vm }: Chained): Promise<void> {
  const jobs = (await vm.witness.execute('query-jobs')) as readonly { readonly id: string }[];
  const job = jobs.find(({ id }) => id.endsWith('-1-job'));
  if (job === undefined) throw new Error('the job of the second disk is not there');
  await vm.witness.execute('job-cancel', { id: job.id });
}

/** Closes what the saga has opened of a file, and takes its name away. */
async function takeAway({ vm }: Chained, file: string): Promise<void> {
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly Node[];
  const opened = nodes.filter(({ drv, 'node-name': name }) => drv === 'qcow2' && REVIVED.test(name));
  expect(opened).toHaveLength(1);
  for (const node of opened) await vm.witness.execute('blockdev-del', { 'node-name': node['node-name'] });
  await rename(file, `${file}.away`);
}

onEachVersion((qemu, version) => {
  test(`QEMU ${version} keeps its guest paused until the upper overlay is back as well`, async () => {
    await using on = await withChains(await stage({ disks: 2, qemu }), 2);
    const upper = on.chains[0]?.[0] ?? '';
    on.tap.before('job-finalize', () => cancelSecond(on));
    on.tap.before('blockdev-snapshot', () => takeAway(on, upper), 1);
    const saga = await on.engine.commit({
      ...{ ...on.tapped, disks: disksOf(on, () => ({})), active: true, strategy: 'finalize' },
      ...{ maxBlackoutMs: 30_000, without: ['blockdev-reopen', 'blockdev-snapshot'] },
    });
    const stopped = await saga.result;
    expect(on.tap.pending).toEqual([]);
    expect(stopped, explain(stopped)).toMatchObject({
      outcome: 'needsRecovery',
      error: { message: expect.stringMatching(/is rolled back to \S+ in part/) },
    });
    expect((await on.look()).status).toBe('paused');
    await rename(`${upper}.away`, upper);
    const result = await (await on.engine.resume(saga.id, on.tapped)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect((await on.look()).status).toBe('running');
    await on.vm.awaitWrites(6);
    await expectChains(on, on.chains);
  });
});
