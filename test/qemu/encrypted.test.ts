/** Encrypted disks on a real QEMU: what is made of them is encrypted too, and what cannot be is refused. */
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchedQemus } from '../../scripts/qemu-versions.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { isFull } from '../tiers/tier.ts';
import {
  bootShows,
  encrypted,
  isInTheClear,
  makeEncrypted,
  type OddDisk,
  oddGuest,
  SIZE_BYTES,
} from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

const FORMATS = ['qcow2', 'luks'] as const;

async function both(folder: string): Promise<readonly OddDisk[]> {
  const made: OddDisk[] = [];
  for (const format of FORMATS) {
    const file = join(folder, `old.${format}`);
    await makeEncrypted(file, format);
    made.push(encrypted(file, format));
  }
  return made;
}

/** A `luks` disk has a copy with `luks` and an overlay with qcow2's own encryption: both, with half the keys to derive. */
const COPIED = isFull ? FORMATS : (['luks'] as const);

const VERSIONS = [{ version: 'at hand', binary: undefined }, ...(isFull ? fetchedQemus() : [])];

describeOnQemu('an encrypted disk', () => {
  describe.each(VERSIONS)('of QEMU $version', ({ binary }) => {
    test('has encrypted copies with the same format and secret, and overlays that are encrypted too', async () => {
      const on = await oddGuest(both, { qemu: binary });
      const disks = COPIED.map(format => ({
        disk: `odd${FORMATS.indexOf(format)}`,
        to: join(on.folder, `new.${format}`),
      }));
      for (const { disk } of disks) await on.write(disk);
      const copied = await (await on.engine.copy({ ...on.guest, disks })).result;
      expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
      expect(JSON.stringify(copied)).not.toContain('swordfish');
      for (const { to } of disks) expect(await isInTheClear(to)).toBe(false);
      const overlays = disks.map(({ disk }) => ({ disk, overlay: join(on.folder, `${disk}.over.qcow2`) }));
      const taken = await (await on.engine.snapshot({ ...on.guest, disks: overlays })).result;
      expect(taken, JSON.stringify(taken.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
      for (const { disk, overlay } of overlays) {
        await on.write(disk, 4 * 65_536);
        expect(await isInTheClear(overlay)).toBe(false);
      }
      await on.vm.kill();
      for (const [at, format] of COPIED.entries()) {
        expect(await bootShows(encrypted(disks[at]?.to ?? '', format), on.folder)).toBe(true);
        const top = { ...encrypted(overlays[at]?.overlay ?? '', 'qcow2') };
        const whole = { ...top, backing: encrypted(disks[at]?.to ?? '', format) };
        expect(await bootShows(whole, on.folder)).toBe(true);
        const said = JSON.parse(
          await qemuImg('info', '--output=json', '-f', 'qcow2', overlays[at]?.overlay ?? ''),
        );
        expect(said).toMatchObject({ 'backing-filename': disks[at]?.to, 'backing-filename-format': format });
      }
    });
  });

  test.runIf(isFull)('is copied with another secret, or in the clear, when that is said aloud', async () => {
    const on = await oddGuest(both);
    await on.write('odd0');
    await on.write('odd1');
    const { guest } = on;
    const [other, clear] = [join(on.folder, 'other.qcow2'), join(on.folder, 'clear.raw')];
    const disks = [
      { disk: 'odd0', to: other, encrypt: 'sec1' },
      { disk: 'odd1', to: clear, encrypt: 'none' },
    ];
    const copied = await (await on.engine.copy({ ...guest, disks })).result;
    expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed' });
    expect([await isInTheClear(other), await isInTheClear(clear)]).toEqual([false, true]);
    // A plain disk becomes an encrypted one the same way.
    const again = [{ disk: 'odd1', to: join(on.folder, 'again.luks'), encrypt: 'sec1' }];
    const back = await (await on.engine.copy({ ...guest, disks: again })).result;
    expect(back, JSON.stringify(back.error)).toMatchObject({ outcome: 'committed' });
    await on.vm.kill();
    expect(await bootShows(encrypted(other, 'qcow2', 'sec1'), on.folder)).toBe(true);
    expect(await bootShows(encrypted(again[0]?.to ?? '', 'luks', 'sec1'), on.folder)).toBe(true);
  });

  test('is not written in the clear by what cannot keep it encrypted: that is refused, and nothing is made', async () => {
    const on = await oddGuest(both);
    const { guest } = on;
    const to = join(on.folder, 'new');
    await qemuImg('create', '-q', '-f', 'qcow2', join(on.folder, 'plain.qcow2'), String(SIZE_BYTES));
    const copies = [
      [{ disk: 'odd0', to, raw: true }, 'REQUEST_INVALID'],
      [{ disk: 'odd1', to, format: 'raw' as const }, 'REQUEST_INVALID'],
      [{ disk: 'odd0', to, encrypt: 'gone' }, 'REQUEST_INVALID'],
      [{ disk: 'odd1', to: 'nbd://127.0.0.1:1/x' }, 'REQUEST_INVALID'],
      [{ disk: 'odd0', to: join(on.folder, 'plain.qcow2'), reuse: true }, 'REQUEST_INVALID'],
    ] as const;
    for (const [disk, code] of copies)
      await expect(on.engine.copy({ ...guest, disks: [disk] }), JSON.stringify(disk)).rejects.toMatchObject({
        code,
      });
    const older = { ...guest, without: ['blockdev-create'] };
    await expect(on.engine.copy({ ...older, disks: [{ disk: 'odd0', to }] })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
    for (const without of [['blockdev-create'], ['transaction']]) {
      const disks = [{ disk: 'odd0', overlay: to }];
      await expect(on.engine.snapshot({ ...guest, without, disks })).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
      });
    }
    expect(existsSync(to)).toBe(false);
    await on.ask('object-del', { id: 'sec0' });
    await expect(on.engine.copy({ ...guest, disks: [{ disk: 'odd0', to }] })).rejects.toThrow(
      /"sec0".*encrypt=ID/,
    );
  });

  test('is not merged with one in the clear, in either direction', async () => {
    const on = await oddGuest(async folder => {
      const [low, high] = [join(folder, 'low.qcow2'), join(folder, 'high.qcow2')];
      await makeEncrypted(low, 'qcow2');
      await qemuImg('create', '-q', '-f', 'qcow2', '-u', '-b', low, '-F', 'qcow2', high, String(SIZE_BYTES));
      const up = join(folder, 'up.qcow2');
      await qemuImg('create', '-q', '-f', 'qcow2', join(folder, 'plain.qcow2'), String(SIZE_BYTES));
      await makeEncrypted(up, 'qcow2', { file: join(folder, 'plain.qcow2'), format: 'qcow2' });
      return [
        { driver: 'qcow2', file: { driver: 'file', filename: high }, backing: encrypted(low, 'qcow2') },
        encrypted(up, 'qcow2'),
      ];
    });
    const { guest } = on;
    const code = 'DISK_UNSUPPORTED';
    await expect(on.engine.pull({ ...guest, disks: [{ disk: 'odd0' }] })).rejects.toMatchObject({ code });
    await expect(
      on.engine.commit({ ...guest, disks: [{ disk: 'odd1' }], active: true }),
    ).rejects.toMatchObject({
      code,
    });
    // An overlay in the clear over an encrypted image does not make a copy of both in the clear.
    await on.write('odd0');
    const to = join(on.folder, 'whole.qcow2');
    const copied = await (await on.engine.copy({ ...guest, disks: [{ disk: 'odd0', to }] })).result;
    expect(copied, JSON.stringify(copied.error)).toMatchObject({ outcome: 'committed' });
    expect(await isInTheClear(to)).toBe(false);
  });

  test('is switched to a mirror that stands on a copy of its images, encrypted as they are', async () => {
    const on = await oddGuest(async folder => {
      const old = join(folder, 'old.qcow2');
      await makeEncrypted(old, 'qcow2');
      return [encrypted(old, 'qcow2')];
    });
    const file = (name: string) => join(on.folder, `${name}.qcow2`);
    await makeEncrypted(file('mirror'), 'qcow2', { file: file('chain'), format: 'qcow2' });
    await on.write('odd0');
    await copyFile(file('old'), file('chain'));
    const disks = [{ disk: 'odd0', overlay: file('over'), mirror: file('mirror'), mirrorReuse: true }];
    const saga = await on.engine.snapshot({ ...on.guest, disks });
    expect(await saga.result).toMatchObject({ outcome: 'ready' });
    await on.write('odd0', 4 * 65_536);
    const pivoted = await saga.pivot();
    expect(pivoted, JSON.stringify(pivoted.error)).toMatchObject({ outcome: 'committed' });
    await on.vm.kill();
    const whole = { ...encrypted(file('mirror'), 'qcow2'), backing: encrypted(file('chain'), 'qcow2') };
    expect(await bootShows(whole, on.folder)).toBe(true);
    expect(await bootShows(whole, on.folder, 4 * 65_536)).toBe(true);
    expect(await isInTheClear(file('mirror'))).toBe(false);
  });

  test.runIf(isFull)('is reverted, and switched to a mirror, encrypted as well', async () => {
    const on = await oddGuest(both);
    const { guest } = on;
    await on.write('odd0');
    const [overlay, mirror] = [join(on.folder, 'over.qcow2'), join(on.folder, 'mirror.qcow2')];
    const saga = await on.engine.snapshot({ ...guest, disks: [{ disk: 'odd0', overlay, mirror }] });
    await saga.result;
    await on.write('odd0', 4 * 65_536);
    const pivoted = await saga.pivot();
    expect(pivoted, JSON.stringify(pivoted.error)).toMatchObject({
      outcome: 'committed',
      leftovers: [overlay],
    });
    expect([await isInTheClear(overlay), await isInTheClear(mirror)]).toEqual([false, false]);
    await on.ask('stop');
    const fresh = join(on.folder, 'fresh.qcow2');
    const reverted = await (await on.engine.revert({ ...guest, disks: [{ disk: 'odd0', overlay: fresh }] }))
      .result;
    expect(reverted, JSON.stringify(reverted.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    await on.write('odd0', 8 * 65_536);
    expect(await isInTheClear(fresh)).toBe(false);
    await on.vm.kill();
    const base = encrypted(join(on.folder, 'old.qcow2'), 'qcow2');
    expect(await bootShows({ ...encrypted(mirror, 'qcow2'), backing: base }, on.folder, 4 * 65_536)).toBe(
      true,
    );
    const whole = { ...encrypted(fresh, 'qcow2'), backing: base };
    expect(await bootShows(whole, on.folder)).toBe(true);
    expect(await bootShows(whole, on.folder, 8 * 65_536)).toBe(true);
  });
});
