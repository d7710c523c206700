/**
 * A live migration beside a saga, on every version of QEMU that was fetched: refused before anything is touched, gone back
 * from when it begins in front of the pause or in it, and never followed by a `cont` that makes a second running guest. In the quick tier
 * each test is played on one of the versions.
 */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fetchedQemus } from '../../scripts/qemu-versions.ts';
import type { CopyRequest } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { byOne } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, type StageOptions, stage } from './witnessed.ts';

/** Nothing reads the pipe: it stays active for as long as `sleep` does. */
const ENDLESS = { uri: 'exec:sleep 60' };
/** A look that is older than that is asked again in front of `cont` (`FRESH_MS`, src/guest/hold-guest.ts). */
const LOOK_AGES_MS = 20;
const TO_NOWHERE = { uri: 'exec:cat >/dev/null' };

const binaries = [undefined, ...fetchedQemus().map(({ binary }) => binary)];
const onOne = byOne(binaries);
const isOld = (qemu?: string) => qemu?.includes('/5.2/') ?? false;

async function statusOf({ vm }: Stage): Promise<string> {
  return ((await vm.witness.execute('query-status')) as { readonly status: string }).status;
}

async function migrationOf({ vm }: Stage): Promise<string> {
  return ((await vm.witness.execute('query-migrate')) as { readonly status?: string }).status ?? 'none';
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(systemClock, 1);
}

async function migrateAway(on: Stage): Promise<void> {
  await on.vm.witness.execute('migrate', TO_NOWHERE);
  await until(async () => (await statusOf(on)) === 'postmigrate' && (await migrationOf(on)) === 'completed');
}

async function pauseBeforeSwitchover({ vm }: Stage): Promise<void> {
  const capabilities = [{ capability: 'pause-before-switchover', state: true }];
  await vm.witness.execute('migrate-set-capabilities', { capabilities });
}

/** What a migration is doing when an administrator asks for a change of the disks. */
const STATES: readonly {
  readonly what: string;
  readonly guest?: StageOptions;
  bring(on: Stage): Promise<void>;
}[] = [
  {
    what: 'is under way',
    bring: async on => {
      await on.vm.witness.execute('migrate', ENDLESS);
    },
  },
  {
    what: 'waits in front of its switchover',
    bring: async on => {
      await pauseBeforeSwitchover(on);
      await on.vm.witness.execute('migrate', TO_NOWHERE);
      await until(async () => (await migrationOf(on)) === 'pre-switchover');
    },
  },
  { what: 'has ended', bring: migrateAway },
  {
    what: 'has ended, in a guest that was reset since',
    bring: async on => {
      await migrateAway(on);
      await on.vm.witness.execute('system_reset');
      await until(async () => (await statusOf(on)) === 'prelaunch');
    },
  },
  {
    what: 'is yet to come in',
    guest: { guest: 'idle', extraArguments: ['-incoming', 'defer'] },
    bring: async () => undefined,
  },
];

/** Where in a copy a migration ends, by strategy. */
const ENDS: readonly { readonly strategy: NonNullable<CopyRequest['strategy']>; readonly command: string }[] =
  [
    { strategy: 'reopen', command: 'block-job-cancel' },
    { strategy: 'reopen', command: 'blockdev-reopen' },
    { strategy: 'reopen', command: 'query-block' },
    { strategy: 'finalize', command: 'job-complete' },
    { strategy: 'complete', command: 'job-complete' },
  ];

for (const qemu of binaries)
  describeOnQemu(`a live migration on ${qemu ?? 'the QEMU at hand'}`, () => suite(qemu));

function suite(qemu?: string): void {
  const begin = (options: StageOptions = {}) =>
    stage({ disks: 2, ...(qemu === undefined ? {} : { qemu }), ...options });
  const plays = (what: string, isAble?: (binary?: string) => boolean) => onOne(qemu, what, isAble);
  const one = (what: string) => (plays(what) ? [what] : []);

  test.each(STATES.filter(({ what }) => plays(what)))(
    'that $what has every change refused, with nothing touched',
    async ({ guest, bring }) => {
      await using on = await begin(guest);
      await bring(on);
      const files = readdirSync(on.directory).sort();
      const tapped = on.tapped;
      const requests = [
        () => on.engine.copy({ ...tapped, disks: on.copyAll().disks }),
        () => on.engine.snapshot({ ...tapped, disks: on.snapshotAll().disks }),
        () => on.engine.revert({ ...tapped, disks: on.snapshotAll().disks }),
        () => on.engine.commit({ ...tapped, disks: on.vm.disks.map(({ device }) => ({ disk: device })) }),
        () => on.engine.pull({ ...tapped, disks: on.vm.disks.map(({ device }) => ({ disk: device })) }),
      ];
      for (const request of requests)
        await expect(request()).rejects.toMatchObject({ code: 'MIGRATING', effect: 'notApplied' });
      expect(on.tap.commands.filter(name => !/^(query-|qom-list|qmp_cap|x-debug)/.test(name))).toEqual([]);
      expect(readdirSync(on.directory).sort()).toEqual(files);
    },
  );

  test.each(one('that begins while the mirrors run has the copy go back, in front of the pause'))(
    '%s',
    async () => {
      await using on = await begin();
      on.tap.after('blockdev-mirror', () => on.vm.witness.execute('migrate', ENDLESS));
      const saga = await on.engine.copy({ ...on.tapped, ...pick(on.copyAll()) });
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: { code: 'MIGRATING' } });
      expect(on.tap.commands).not.toContain('stop');
      expect(await statusOf(on)).toBe('running');
      expect(await migrationOf(on)).toBe('active');
    },
  );

  test.each(one('that begins while the mirrors run has a snapshot go back, in front of its transaction'))(
    '%s',
    async () => {
      await using on = await begin();
      on.tap.after('blockdev-create', () => on.vm.witness.execute('migrate', ENDLESS));
      const saga = await on.engine.snapshot({ ...on.tapped, disks: on.snapshotAll().disks });
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: { code: 'MIGRATING' } });
      expect(on.tap.commands).not.toContain('transaction');
      expect(await statusOf(on)).toBe('running');
    },
  );

  const strategies = ENDS.filter(({ strategy, command }) =>
    plays(`${strategy}, ${command}`, binary => !(isOld(binary) && strategy === 'reopen')),
  );
  test.each(strategies)(
    'that begins and ends in the pause is not followed by cont: $strategy, $command',
    async ({ strategy, command }) => {
      await using on = await begin();
      let at = -1;
      on.tap.before('stop', async () => {
        on.tap.after(command, async () => {
          await migrateAway(on);
          at = on.tap.commands.length;
        });
      });
      const saga = await on.engine.copy({ ...on.tapped, ...pick(on.copyAll()), strategy });
      const result = await saga.result;
      expect(on.tap.pending).toEqual([]);
      expect(result.outcome, explain(result)).not.toBe('committed');
      expect(result.error, explain(result)).not.toBeNull();
      expect(await statusOf(on)).toBe('postmigrate');
      expect(on.tap.commands.slice(at)).not.toContain('cont');
      expect(result.guest, explain(result)).toMatchObject({ status: 'postmigrate' });
      // A QEMU that cannot set the drive of a device mirrors nothing back any more either.
      expect(result.outcome, explain(result)).toBe(isOld(qemu) ? 'needsRecovery' : 'rolledBack');
    },
  );

  // In a guest with iothreads the filters have left in the pause by then.
  const behind = [
    { which: 'without filters', iothreads: true, behind: 'qom-set', nth: 2 },
    { which: 'below their filters', iothreads: false, behind: 'blockdev-reopen', nth: 0 },
  ];
  const reopens = (binary?: string) => !isOld(binary);
  test.each(behind.filter(({ which }) => plays(which, reopens)))(
    'that begins in the pause and goes on has disks $which go back in one command',
    async ({ iothreads, behind, nth }) => {
      await using on = await begin({ iothreads });
      on.tap.after(
        behind,
        async () => {
          await on.vm.witness.execute('migrate', ENDLESS);
          await sleep(systemClock, LOOK_AGES_MS);
        },
        nth,
      );
      const saga = await on.engine.copy({ ...on.tapped, ...pick(on.copyAll()), strategy: 'reopen' });
      const result = await saga.result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({
        outcome: 'rolledBack',
        error: { code: 'MIGRATING' },
      });
      expect(on.tap.commands.filter(name => name === 'blockdev-reopen')).toHaveLength(2);
      expect(await statusOf(on)).toBe('running');
    },
  );

  test.each(
    one(
      'that begins in the pause and is held at its switchover, has the saga wait for it and say what is left to do',
    ),
  )('%s', async () => {
    await using on = await begin();
    await pauseBeforeSwitchover(on);
    on.tap.after('block-job-cancel', async () => {
      await on.vm.witness.execute('migrate', TO_NOWHERE);
      await until(async () => (await migrationOf(on)) === 'pre-switchover');
      void sleep(systemClock, 500).then(() => on.vm.witness.execute('migrate_cancel'));
    });
    const saga = await on.engine.copy({ ...on.tapped, ...pick(on.copyAll()), finish: 'clone' });
    const result = await saga.result;
    expect(result.outcome, explain(result)).toBe('rolledBack');
    // Before QEMU 8 or so a paused guest whose migration is cancelled at its end is left in postmigrate.
    const status = await statusOf(on);
    expect(['running', 'postmigrate']).toContain(status);
    if (status === 'postmigrate') expect(result.guest).toMatchObject({ status });
  });
}

function pick({ disks, maxBlackoutMs }: { disks: CopyRequest['disks']; maxBlackoutMs: number }) {
  return { disks, maxBlackoutMs };
}
