/**
 * Disks of odd sizes, as EFI variables have them, onto files and block devices that are rounded up: the guest sees the size that
 * it had, as Proxmox VE does it, with a raw node of that size. What does not fit is refused, or told beforehand.
 */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import type { DefinedDisk } from '../../src/plan/definition.ts';
import { lendDevice, whyNoLoopDevice } from '../rows/loop-device.ts';
import { bootShows, type OddGuest, oddGuest } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

const EFI_BYTES = 540_672;
const MIB = 1024 * 1024;

/** A guest on a raw image of this size. */
function guestOf(sizeBytes: number, driver: 'raw' | 'file' = 'raw') {
  return oddGuest(async folder => {
    const file = join(folder, 'vars.raw');
    await writeFile(file, Buffer.alloc(sizeBytes));
    const storage = { driver: 'file', filename: file };
    return [driver === 'raw' ? { driver, file: storage } : storage];
  });
}

async function sizeOf({ ask }: OddGuest, device: string): Promise<number> {
  const blocks =
    await ask<
      readonly {
        readonly qdev?: string;
        readonly inserted?: { readonly image: { readonly 'virtual-size': number } };
      }[]
    >('query-block');
  return blocks.find(({ qdev }) => qdev?.split('/').includes(device))?.inserted?.image['virtual-size'] ?? 0;
}

async function copy({ vm, engine }: OddGuest, to: string, more: object = {}) {
  const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, disks: [{ disk: 'odd0', to, ...more }] };
  return (await engine.copy(request)).result;
}

describeOnQemu('a disk of an odd size', () => {
  test.each([
    ['540672 bytes', EFI_BYTES, 'raw'],
    ['540672 bytes on a protocol node', EFI_BYTES, 'file'],
    ['an odd number of sectors', 1_057 * 512, 'raw'],
    ['no whole number of sectors', 540_700, 'raw'],
  ] as const)('is copied to new images: %s', async (_what, sizeBytes, driver) => {
    const guest = await guestOf(sizeBytes, driver);
    const { vm, folder, write } = guest;
    await write('odd0');
    const seen = await sizeOf(guest, 'odd0');
    for (const [name, format] of [
      ['a.raw', 'raw'],
      ['b.qcow2', 'qcow2'],
      ['c.raw', 'raw'],
    ] as const) {
      const result = await copy(guest, join(folder, name), { format });
      expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(await sizeOf(guest, 'odd0')).toBe(seen);
    }
    await vm.kill();
    expect(
      await bootShows({ driver: 'raw', file: { driver: 'file', filename: join(folder, 'c.raw') } }, folder),
    ).toBe(true);
  });

  test.each([EFI_BYTES, 540_700])(
    'keeps its size in a larger file that is there: %i bytes',
    async sizeBytes => {
      const guest = await guestOf(sizeBytes);
      const { vm, folder, write } = guest;
      await write('odd0');
      const seen = await sizeOf(guest, 'odd0');
      const to = join(folder, 'large.raw');
      await writeFile(to, Buffer.alloc(MIB, 0x5a));
      const result = await copy(guest, to, { reuse: true, format: 'raw' });
      expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      expect(result.losses).toEqual([expect.stringMatching(new RegExp(`driver=raw and size=${seen}$`))]);
      expect(await sizeOf(guest, 'odd0')).toBe(seen);
      // What is behind the disk in that file is none of the guest's.
      expect((await readFile(to)).subarray(seen)).toEqual(Buffer.alloc(MIB - seen, 0x5a));
      // From there it can be copied on, and is a whole image again.
      const back = join(folder, 'back.qcow2');
      expect(await copy(guest, back, { format: 'qcow2' })).toMatchObject({
        outcome: 'committed',
        leftovers: [],
      });
      expect(await sizeOf(guest, 'odd0')).toBe(seen);
      await vm.kill();
      const file = { driver: 'file', filename: to };
      expect(await bootShows({ driver: 'raw', size: seen, file }, folder)).toBe(true);
      expect(await bootShows({ driver: 'qcow2', file: { driver: 'file', filename: back } }, folder)).toBe(
        true,
      );
    },
  );

  test('keeps its size on a larger block device, and the definition says with which it is opened', async ({
    skip,
  }) => {
    const lacks = whyNoLoopDevice();
    skip(lacks !== undefined, lacks);
    await using stack = new AsyncDisposableStack();
    const guest = await guestOf(EFI_BYTES);
    const { vm, folder, write } = guest;
    await write('odd0');
    const to = join(folder, 'device');
    await lendDevice(to, MIB, stack);
    const told: (readonly DefinedDisk[])[] = [];
    const engine = createEngine({
      journal: memoryJournal(),
      onCommit: async ({ disks }) => void told.push(disks),
    });
    const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, disks: [{ disk: 'odd0', to, reuse: true }] };
    expect(await (await engine.copy(request)).result).toMatchObject({ outcome: 'committed', leftovers: [] });
    expect(await sizeOf(guest, 'odd0')).toBe(EFI_BYTES);
    expect(told).toMatchObject([[{ file: to, format: 'raw', sizeBytes: EFI_BYTES }]]);
    // A header cannot say that size, so that an overlay is refused with the reason.
    const over = { qmp: vm.monitor, disks: [{ disk: 'odd0', overlay: join(folder, 'over.qcow2') }] };
    await expect(engine.planSnapshot(over)).rejects.toMatchObject({ code: 'DISK_UNSUPPORTED' });
    await vm.kill();
  });

  test('is refused for what is smaller, and for a larger image of a format', async () => {
    const guest = await guestOf(EFI_BYTES);
    const { vm, folder, engine } = guest;
    const small = join(folder, 'small.raw');
    await writeFile(small, '');
    await truncate(small, EFI_BYTES - 512);
    const large = join(folder, 'large.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', large, '1M');
    const plan = (to: string, format: 'raw' | 'qcow2') =>
      engine.planCopy({ qmp: vm.monitor, disks: [{ disk: 'odd0', to, format, reuse: true }] });
    await expect(plan(small, 'raw')).rejects.toMatchObject({ code: 'TARGET_SIZE' });
    await expect(plan(large, 'qcow2')).rejects.toMatchObject({
      code: 'TARGET_SIZE',
      message: expect.stringContaining('qemu-img resize --shrink'),
    });
  });
});

describeOnQemu('an image that may not fit its device', () => {
  test.each([
    ['is told of in the plan', 24, 1],
    ['is not where it has room for all', 48, 0],
  ])('%s', async (_what, deviceMib, warnings) => {
    const lacks = whyNoLoopDevice();
    if (lacks !== undefined) return expect(lacks).toContain('loop device');
    await using stack = new AsyncDisposableStack();
    const { vm, folder, engine } = await guestOf(32 * MIB);
    const to = join(folder, 'device');
    await lendDevice(to, deviceMib * MIB, stack);
    const disks = [{ disk: 'odd0', to, initialize: true, format: 'qcow2' as const }];
    const { losses = [] } = await engine.planCopy({ qmp: vm.monitor, disks });
    expect(losses.filter(loss => loss.includes('its room'))).toHaveLength(warnings);
    await vm.kill();
  });
});
