/**
 * A guest that sleeps in S3 while its disks are changed, on the QEMU at hand and on every version that was fetched: it sleeps on afterwards,
 * and `system_wakeup` wakes it up. From 9.0 on `stop` turns `suspended` into `paused`, where a wake-up is refused.
 * In the quick tier each test is played on one of the versions.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchedQemus } from '../../scripts/qemu-versions.ts';
import type { Engine } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { byOne } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type Stage, type StageOptions, stage } from './witnessed.ts';

/**
 * An option ROM that reads the port of the chipset's power management (PIIX4: 0x40 of 00:01.3) and writes there that the
 * machine is to go into S3 (SLP_TYP 1, SLP_EN).
 */
const CODE = `
  6631c0 66b8400b0080 baf80c 66ef bafc0c 66ed 25c0ff 050400 89c2 b80024 ef cb
`;

function sleepRom(): string {
  const code = Buffer.from(CODE.replaceAll(/\s/g, ''), 'hex');
  const rom = Buffer.concat([Buffer.from([0x55, 0xaa, 0x01]), code], 512);
  rom[511] = (0x100 - (rom.reduce((sum, byte) => sum + byte, 0) & 0xff)) & 0xff;
  const path = join(temporaryFolder(), 'sleep.rom');
  writeFileSync(path, rom);
  return path;
}

const binaries = [{ version: 'at hand', binary: undefined }, ...fetchedQemus()];
const onOne = byOne(binaries.map(({ version }) => version));

async function statusOf({ vm }: Stage): Promise<string> {
  return ((await vm.witness.execute('query-status')) as { readonly status: string }).status;
}

async function asleep(options: StageOptions): Promise<Stage> {
  const rom = sleepRom();
  const on = await stage({
    disks: 2,
    guest: 'idle',
    backing: true,
    ...options,
    bios: 'seabios',
    extraArguments: ['-option-rom', rom],
  });
  while ((await statusOf(on)) !== 'suspended') await sleep(systemClock, 10);
  return on;
}

function throughTap(on: Stage): Stage {
  return {
    ...on,
    copyAll: () => ({ ...on.copyAll(), ...on.tapped }) as object as ReturnType<Stage['copyAll']>,
    snapshotAll: () => ({ ...on.snapshotAll(), ...on.tapped }) as object as ReturnType<Stage['snapshotAll']>,
  };
}

type Change = (on: Stage, engine: Engine) => ReturnType<Engine['copy']>;

const CHANGES: readonly { readonly what: string; readonly change: Change; readonly needs?: 'reopen' }[] = [
  {
    what: 'a copy by reopen',
    needs: 'reopen',
    change: (on, engine) => engine.copy({ ...on.copyAll(), strategy: 'reopen' }),
  },
  {
    what: 'a copy by finalize',
    change: (on, engine) => engine.copy({ ...on.copyAll(), strategy: 'finalize' }),
  },
  {
    what: 'a copy by complete',
    change: (on, engine) => engine.copy({ ...on.copyAll(), strategy: 'complete' }),
  },
  { what: 'a clone', change: (on, engine) => engine.copy({ ...on.copyAll(), finish: 'clone' }) },
  { what: 'a revert', needs: 'reopen', change: (on, engine) => engine.revert(on.snapshotAll()) },
  { what: 'a snapshot', change: (on, engine) => engine.snapshot(on.snapshotAll()) },
  {
    what: 'a snapshot one by one',
    change: (on, engine) => engine.snapshot({ ...on.snapshotAll(), without: ['transaction'] }),
  },
];

describe.each(binaries)('a guest in S3 on $version', ({ version, binary }) => {
  const changes = (how: string) =>
    CHANGES.filter(({ what, needs }) =>
      onOne(version, `${how} ${what}`, each => needs === undefined || each !== '5.2'),
    );

  describeOnQemu('sleeps on', () => {
    test.each(changes('through'))('through $what, and wakes up when it is told to', async ({ change }) => {
      await using on = await asleep(binary === undefined ? {} : { qemu: binary });
      const saga = await change(on, on.engine);
      const result = await saga.result;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
      expect(await statusOf(on)).toBe('suspended');
      await on.vm.witness.execute('system_wakeup');
    });

    test.each(changes('broken'))(
      'where the line breaks in the pause of $what, and wakes up',
      async ({ change }) => {
        await using on = await asleep(binary === undefined ? {} : { qemu: binary });
        on.tap.after('stop', async () => on.tap.cut());
        const saga = await change(throughTap(on), on.engine);
        const result = await saga.result;
        expect(['committed', 'rolledBack'], explain(result)).toContain(result.outcome);
        expect(await statusOf(on), explain(result)).toBe('suspended');
        await on.vm.witness.execute('system_wakeup');
      },
    );
  });
});
