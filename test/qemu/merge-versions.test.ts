/**
 * Merges on every version of QEMU that `node scripts/fetch-qemu.ts` has put into `.qemu/`: going through by each way that a
 * version has, and going back when the disk in the middle fails. A version that is not there is named as not run. In the quick tier each test is played on one of the versions.
 */
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import { byOne } from '../tiers/tier.ts';
import { type Chained, disksOf, expectChains, expectMerged, withChains } from './chained.ts';
import { onEachVersion } from './each-version.ts';
import { explain, type StageOptions, stage } from './witnessed.ts';

const fetched = fetchedQemus();
const onOne = byOne(fetched.map(({ version }) => version));

onEachVersion((binary, version) => {
  describe(`QEMU ${version}`, () => merges(binary, version));
});

const DISKS = 3;
const MIDDLE = '-1-job';

function merges(binary: string, version: QemuVersion): void {
  const reopens = ({ strategy }: { readonly strategy: string }, on: QemuVersion) =>
    strategy !== 'reopen' || on !== '5.2';
  const begin = async (options: StageOptions = {}) =>
    withChains(await stage({ disks: DISKS, qemu: binary, ...options }), 2);
  const ways = [
    { strategy: 'reopen' as const, command: 'blockdev-reopen' },
    { strategy: 'finalize' as const, command: 'job-finalize' },
  ];
  const plays = (test: string) => onOne(version, test);
  const guests: readonly (StageOptions & { readonly what: string })[] = [
    { what: 'three disks' },
    { what: 'three disks of -drive', style: 'drive' },
    { what: 'three scsi disks in iothreads', bus: 'scsi-hd', iothreads: true },
  ];

  test.each(['pulls three chains down to their lowest images'].filter(plays))('%s', async () => {
    await using on = await begin();
    const disks = disksOf(on, index => ({ base: `dev${index}[2]` }));
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
    await expectMerged(
      on,
      result,
      on.chains.map(([front = '', , base = '']) => [front, base]),
    );
  });

  test.each(['commits the images in the middle of three chains, and removes them'].filter(plays))(
    '%s',
    async () => {
      await using on = await begin();
      const leaving = on.chains.map(([, middle = '']) => middle);
      const disks = disksOf(on, index => ({ top: leaving[index] ?? '' }));
      const result = await (await on.engine.commit({ qmp: on.vm.monitor, disks, delete: true })).result;
      await expectMerged(
        on,
        result,
        on.chains.map(([front = '', , base = '']) => [front, base]),
        leaving,
      );
    },
  );

  test.each((['pull', 'commit'] as const).filter(what => plays(`fails: ${what}`)))(
    'leaves all chains as they were when one job of a %s fails',
    async what => {
      await using on = await begin();
      on.tap.after(what === 'pull' ? 'block-stream' : 'block-commit', () => cancelOne(on), 1);
      const disks = disksOf(on, index => (what === 'pull' ? {} : { top: `dev${index}[1]` }));
      const request = { ...on.tapped, disks, bandwidth: 65_536 };
      const saga = await (what === 'pull' ? on.engine.pull(request) : on.engine.commit(request));
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: { code: 'JOB_FAILED' } });
      await expectChains(on, on.chains);
    },
  );

  test.each(['puts every overlay back at once where no drive can be set'].filter(plays))('%s', async () => {
    await using on = await begin();
    on.tap.before('job-finalize', () => cancelOne(on));
    const request = { ...on.tapped, disks: disksOf(on, () => ({})), without: ['blockdev-reopen' as const] };
    const saga = await on.engine.commit({
      ...{ ...request, active: true, strategy: 'finalize', maxBlackoutMs: 30_000 },
    });
    const result = await saga.result;
    expect(on.tap.pending).toEqual([]);
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect(on.tap.commands.filter(each => each === 'transaction')).toHaveLength(1);
    expect(on.tap.commands).not.toContain('blockdev-snapshot');
    await expectChains(on, on.chains);
  });

  for (const { what, ...guest } of guests) {
    const possible = ways.filter(({ strategy }) => strategy !== 'reopen' || guest.bus !== 'scsi-hd');
    const playedFor = (end: string) =>
      possible.filter(way => onOne(version, `${end}: ${what}, ${way.strategy}`, each => reopens(way, each)));
    test.each(playedFor('commits'))(
      `commits the active images of ${what} by $strategy`,
      async ({ strategy }) => {
        await using on = await begin(guest);
        const disks = disksOf(on, () => ({}));
        const request = { qmp: on.vm.monitor, disks, active: true, strategy, maxBlackoutMs: 30_000 };
        const result = await (await on.engine.commit(request)).result;
        await expectMerged(
          on,
          result,
          on.chains.map(chain => chain.slice(-1)),
        );
      },
    );

    test.each(playedFor('takes back'))(
      `takes ${what} back when the switch by $strategy fails at the one in the middle`,
      async ({ strategy, command }) => {
        await using on = await begin(guest);
        if (strategy === 'finalize') on.tap.before(command, () => cancelOne(on));
        else {
          on.tap.before(command, () => on.spoil(on.chains[1]?.at(-1) ?? '', 'write'));
          on.tap.before('blockdev-del', () => on.unspoil());
        }
        const disks = disksOf(on, () => ({}));
        const saga = await on.engine.commit({
          ...{ ...on.tapped, disks, active: true, strategy, maxBlackoutMs: 30_000 },
        });
        const result = await saga.result;
        expect(on.tap.pending).toEqual([]);
        expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
        await expectChains(on, on.chains);
      },
    );
  }
}

/** A third party ends the job of the disk in the middle, as an administrator may with any job. */
async function cancelOne({ vm }: Chained): Promise<void> {
  const jobs = (await vm.witness.execute('query-jobs')) as readonly { readonly id: string }[];
  const job = jobs.find(({ id }) => id.endsWith(MIDDLE));
  if (job === undefined) throw new Error('the job in the middle is not there');
  await vm.witness.execute('job-cancel', { id: job.id });
}
