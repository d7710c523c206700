/**
 * The same promises on every version of QEMU that `node scripts/fetch-qemu.ts` has put into `.qemu/`: each strategy and
 * each way to snapshot, going through and going back. A version that is not there is named as not run.
 */
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import type { CopyRequest, SnapshotRequest } from '../../src/index.ts';
import { byOne, covering, isFull } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import { onEachVersion } from './each-version.ts';
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
const onOne = byOne(fetched.map(({ version }) => version));
const GUESTS: readonly (StageOptions & { readonly what: string })[] = [
  { what: 'three disks' },
  { what: 'three disks in iothreads', iothreads: true },
  { what: 'three disks of -drive over backing images', style: 'drive', backing: true },
];
const ALL = fetched.flatMap(({ version }) =>
  STRATEGIES[version].flatMap(strategy => GUESTS.map(guest => ({ version, strategy, ...guest }))),
);
/** In the quick tier cells that together show each version, strategy and guest; what goes back, others than what switches. */
const marksOf = ({ version, strategy, what }: (typeof ALL)[number]) => [version, strategy, what];
const SWITCHED = isFull ? ALL : covering(ALL, marksOf);
const BACK = isFull ? ALL : covering(ALL.toReversed(), marksOf);

onEachVersion((binary, version) => {
  describe(`QEMU ${version}`, () => promises(version, binary));
});

function promises(version: QemuVersion, binary: string): void {
  const here = ({ version: each }: { readonly version: QemuVersion }) => each === version;
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

  test.each(SWITCHED.filter(here))(
    'switches $what by $strategy',
    async ({ strategy, what: _, version: __, ...guest }) => {
      await using on = await begin(guest);
      const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
      await expectSwitched(on, result);
    },
  );

  test.each(BACK.filter(here))(
    'goes back with $what when a switch by $strategy fails',
    async ({ strategy, what: _, version: __, ...guest }) => {
      await using on = await begin(guest);
      spoilSwitch(on, strategy);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy });
      const result = await saga.result;
      expect(on.tap.pending).toEqual([]);
      await expectTakenBack(on, result);
    },
  );

  test.each(
    [{ iothreads: false }, { iothreads: true }].filter(({ iothreads }) =>
      onOne(version, `clones ${iothreads}`),
    ),
  )('clones three disks, iothreads $iothreads', async guest => {
    await using on = await begin(guest);
    await expectCloned(on, await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result);
  });

  test.each(METHODS.filter(({ method }) => onOne(version, method)))(
    'snapshots three disks by $method',
    async ({ method, without }) => {
      await using on = await begin();
      const result = await (await on.engine.snapshot({ ...on.snapshotAll(), without })).result;
      expect(result.strategy).toBe(method);
      await expectSwitched(on, result);
    },
  );

  test.each(METHODS.filter(({ method }) => onOne(version, `back ${method}`)))(
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
