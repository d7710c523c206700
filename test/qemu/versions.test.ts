/**
 * The same promises on every version of QEMU that `node scripts/fetch-qemu.ts` has put into `.qemu/`: each strategy and
 * each way to snapshot, going through and going back. A version that is not there is named as not run.
 */
import { describe, expect, test } from 'vitest';
import { fetchedQemus, QEMU_VERSIONS, type QemuVersion } from '../../scripts/qemu-versions.ts';
import type { CopyRequest, SnapshotRequest } from '../../src/index.ts';
import { share } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import {
  expectCloned,
  expectSwitched,
  expectTakenBack,
  type Stage,
  type StageOptions,
  stage,
} from './witnessed.ts';

type Strategy = Exclude<CopyRequest['strategy'], undefined | 'auto'>;

/** What each version is expected to be capable of, strongest first. */
const STRATEGIES: Readonly<Record<QemuVersion, readonly [Strategy, ...Strategy[]]>> = {
  '5.2': ['finalize', 'complete'],
  '7.2': ['reopen', 'finalize', 'complete'],
  '10.0': ['reopen', 'finalize', 'complete'],
  '11.1': ['reopen', 'finalize', 'complete'],
};

/** The ways to snapshot, each with what is taken away from QEMU to get it. */
const METHODS = [
  { method: 'transaction', without: [] },
  { method: 'transactionSync', without: ['blockdev-create'] },
  { method: 'sequential', without: ['transaction'] },
] as const satisfies readonly (Pick<SnapshotRequest, 'without'> & { method: string })[];

/** The command of each strategy's switch, and how many of them pass before the disk in the middle is hit. */
const SWITCH = {
  reopen: { command: 'blockdev-reopen', skip: 0 },
  finalize: { command: 'job-finalize', skip: 0 },
  complete: { command: 'job-complete', skip: 1 },
} as const satisfies Record<Strategy, object>;

const fetched = fetchedQemus();

for (const version of QEMU_VERSIONS) {
  const binary = fetched.find(qemu => qemu.version === version)?.binary;
  if (binary === undefined) {
    const title = `NOT RUN: QEMU ${version} is not in .qemu/ (node scripts/fetch-qemu.ts ${version})`;
    console.warn(title);
    test.skip(title);
  } else {
    describe(`QEMU ${version}`, () => promises(version, binary));
  }
}

function promises(version: QemuVersion, binary: string): void {
  // In the quick tier each promise is tried on one of the versions, and each version switches by its own strategy.
  const plays = share(
    fetched.findIndex(qemu => qemu.version === version),
    fetched.length,
  );
  const begin = (options: StageOptions = {}) => stage({ disks: 3, qemu: binary, ...options });

  test(`is the version that its folder says, and switches by ${STRATEGIES[version][0]} unless told otherwise`, async () => {
    await using on = await begin();
    const { qemu } = (await on.vm.witness.execute('query-version')) as {
      readonly qemu: { readonly major: number; readonly minor: number };
    };
    expect(`${qemu.major}.${qemu.minor}`).toBe(version);
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(result.strategy).toBe(STRATEGIES[version][0]);
    await expectSwitched(on, result);
  });

  const guests: readonly (StageOptions & { readonly what: string })[] = [
    { what: 'three disks' },
    { what: 'three disks in iothreads', iothreads: true },
    { what: 'three disks of -drive over backing images', style: 'drive', backing: true },
  ];
  const cases = STRATEGIES[version].flatMap(strategy => guests.map(guest => ({ strategy, ...guest })));

  test.each(cases.filter(plays))('switches $what by $strategy', async ({ strategy, what: _, ...guest }) => {
    await using on = await begin(guest);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
    await expectSwitched(on, result);
  });

  test.each(cases.filter(plays))(
    'goes back with $what when a switch by $strategy fails',
    async ({ strategy, ...guest }) => {
      await using on = await begin(guest);
      spoilSwitch(on, strategy);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy });
      const result = await saga.result;
      expect(on.tap.pending).toEqual([]);
      await expectTakenBack(on, result);
    },
  );

  test.each([{ iothreads: false }, { iothreads: true }].filter(plays))(
    'clones three disks, iothreads $iothreads',
    async guest => {
      await using on = await begin(guest);
      await expectCloned(on, await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result);
    },
  );

  test.each(METHODS.filter(plays))('snapshots three disks by $method', async ({ method, without }) => {
    await using on = await begin();
    const result = await (await on.engine.snapshot({ ...on.snapshotAll(), without })).result;
    expect(result.strategy).toBe(method);
    await expectSwitched(on, result);
  });

  test.each(METHODS.filter(plays))(
    'takes all snapshots back when the last overlay is refused: $method',
    async ({ without }) => {
      await using on = await begin();
      const request = on.snapshotAll(index => (index === 2 ? { overlay: '/proc/o.qcow2' } : {}));
      const result = await (await on.engine.snapshot({ ...request, without })).result;
      expect(result.error).toMatchObject({ disk: 'dev2' });
      await expectTakenBack(on, result);
    },
  );
}

/** Makes the switch fail at the disk in the middle, when others have switched already if the strategy lets that be. */
function spoilSwitch(on: Stage, strategy: Strategy): void {
  const { command, skip } = SWITCH[strategy];
  if (strategy !== 'reopen') {
    on.tap.before(command, () => cancelJobOf(on, 1), skip);
    return;
  }
  on.tap.before(command, () => on.spoil(on.newFile(1)), skip);
  on.tap.before('blockdev-del', () => on.unspoil());
}
