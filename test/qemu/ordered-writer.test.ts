import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BASE_DATA_BYTES, BASE_DATA_OFFSET, BASE_PATTERN } from '../../src/demo/guest-images.ts';
import { type GuestVm, type GuestVmOptions, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { qemuBinary, qemuImg } from '../../src/demo/qemu-tools.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { covering, isFull, often } from '../tiers/tier.ts';
import { whyNoKvm } from './kvm.ts';

const hasQemu = spawnSync(qemuBinary(), ['--version']).status === 0;
const noKvm = hasQemu ? whyNoKvm(qemuBinary()) : 'there is no QEMU';

/** Kills the guest and expects of its images what a power cut must leave: one instant, nothing acknowledged missing. */
async function expectConsistentAfterKill(vm: GuestVm, firstSequence = 1): Promise<void> {
  await vm.kill();
  const acknowledged = vm.acknowledged();
  const cut = await readCut(vm.disks);
  const verdict = checkCut(cut, firstSequence);
  expect(verdict, verdict.why).toMatchObject({ consistent: true });
  expect(missingWrites(cut, acknowledged, firstSequence)).toEqual([]);
  // The write after the last acknowledged one may have been done, but no other.
  expect(verdict.upTo - acknowledged).toBeOneOf([0, 1]);
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ordered-writer-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH
  }
}

const setups: (GuestVmOptions & { readonly title: string })[] = [
  ...(['virtio-blk', 'scsi-hd', 'nvme', 'ide-hd', 'usb-storage'] as const).flatMap(bus => [
    { title: `one ${bus} disk`, bus, disks: 1 },
    { title: `three ${bus} disks, -drive`, bus, disks: 3, style: 'drive' as const },
    { title: `eight ${bus} disks`, bus, disks: 8 },
  ]),
  { title: 'three virtio-blk disks started by SeaBIOS', disks: 3, bios: 'seabios' },
  { title: 'three scsi-hd disks started by SeaBIOS', bus: 'scsi-hd', disks: 3, bios: 'seabios' },
  { title: 'sixteen virtio-blk disks', disks: 16 },
  { title: 'sixteen scsi-hd disks', bus: 'scsi-hd', disks: 16 },
  { title: 'three virtio-blk disks with iothreads', disks: 3, iothreads: true },
  { title: 'three scsi-hd disks with iothreads', bus: 'scsi-hd', disks: 3, iothreads: true },
  { title: 'two overlays over images with data', disks: 2, backing: true },
  { title: 'two overlays of -drive', disks: 2, backing: true, style: 'drive' },
  { title: 'two raw images', disks: 2, format: 'raw' },
  { title: 'two raw images whose flushes QEMU ignores', disks: 2, format: 'raw', cache: 'unsafe' },
];

/** What guests differ in, by themselves. */
const marksOf = ({ title: _, disks, ...rest }: (typeof setups)[number]) =>
  Object.entries({ ...rest, several: disks > 1 }).map(([option, value]) => `${option}: ${value}`);

describe.skipIf(!hasQemu)('the ordered writer', () => {
  test.each(isFull ? setups : covering(setups, marksOf))(
    'writes in order and nothing is lost when QEMU is killed: $title',
    async options => {
      await using vm = await startGuestVm(options);
      await vm.awaitWrites(often(60, 200));
      await expectConsistentAfterKill(vm);
    },
  );

  test.skipIf(noKvm !== undefined || !isFull)(
    `runs with KVM too${noKvm === undefined ? '' : ` (NOT RUN: ${noKvm})`}`,
    async () => {
      await using vm = await startGuestVm({ disks: 2, accel: 'kvm' });
      await vm.awaitWrites(100);
      await expectConsistentAfterKill(vm);
    },
  );

  test.runIf(isFull)('goes round its ring and overwrites the oldest', async () => {
    await using vm = await startGuestVm({
      disks: 1,
      bus: 'ide-hd',
      format: 'raw',
      cache: 'unsafe',
      pacingUs: 0,
    });
    await vm.awaitWrites(8192 + 100, 100_000);
    await expectConsistentAfterKill(vm);
  });

  test('a set in which one image is older than the others is found out', async () => {
    const folder = await temporaryFolder();
    await using vm = await startGuestVm({ disks: 3, directory: folder });
    await vm.awaitWrites(50);
    await vm.witness.execute('stop');
    const old = join(folder, 'old.qcow2');
    await copyFile(join(folder, 'disk1.qcow2'), old);
    await vm.witness.execute('cont');
    await vm.awaitWrites(50);
    await vm.kill();
    const images = vm.disks.map((disk, index) => (index === 1 ? { ...disk, file: old } : disk));
    const cut = await readCut(images);
    expect(checkCut(cut)).toMatchObject({ consistent: false });
    expect(missingWrites(cut, vm.acknowledged()).every(sequence => sequence % 3 === 1)).toBe(true);
    expect(missingWrites(cut, vm.acknowledged()).length).toBeGreaterThan(10);
    expect(checkCut(await readCut(vm.disks))).toMatchObject({ consistent: true });
  });

  test('goes on where it was when a new QEMU boots from its images', async () => {
    const folder = await temporaryFolder();
    await using first = await startGuestVm({ disks: 2, directory: folder });
    await first.awaitWrites(50);
    await first.kill();
    const { upTo } = checkCut(await readCut(first.disks));
    const images = first.disks.map(({ file, format }) => ({ file, format }));
    await using second = await startGuestVm({ disks: 2, images, firstSequence: upTo + 1 });
    expect(second.acknowledged()).toBeGreaterThan(upTo);
    await second.awaitWrites(50);
    await expectConsistentAfterKill(second);
  });

  test('reports a failing write, tries it again and goes on in order', async () => {
    await using vm = await startGuestVm({ disks: 2 });
    const size = vm.disks[1]?.sizeBytes ?? 0;
    await vm.witness.execute('block_resize', { 'node-name': 'disk1', size: 1024 * 1024 });
    await expect.poll(() => vm.errors()).toBeGreaterThan(1);
    const stuckAt = vm.acknowledged();
    expect((stuckAt + 1) % 2).toBe(1);
    await vm.witness.execute('block_resize', { 'node-name': 'disk1', size });
    await vm.awaitWrites(20);
    expect(vm.acknowledged()).toBeGreaterThanOrEqual(stuckAt + 20);
  });

  test('shows a pause of the guest as a gap', async () => {
    await using vm = await startGuestVm({ disks: 2, timed: true });
    vm.resetGaps();
    await vm.witness.execute('stop');
    await sleep(systemClock, 300);
    await vm.witness.execute('cont');
    await vm.awaitWrites(1);
    expect(vm.gaps().maxMs).toBeGreaterThan(250);
    await expect.poll(() => vm.witness.events.map(({ event }) => event)).toEqual(['STOP', 'RESUME']);
  });

  test('slows down when it is asked to', async () => {
    await using vm = await startGuestVm({ disks: 1, pacingUs: 100_000 });
    const [from, startMs] = [vm.acknowledged(), systemClock.now()];
    await vm.awaitWrites(5);
    const perWriteMs = (systemClock.now() - startMs) / (vm.acknowledged() - from);
    expect(perWriteMs).toBeGreaterThan(70);
  });
});

describe.skipIf(!hasQemu)('a guest', () => {
  test('names nodes, devices and files as they are in QEMU', async () => {
    await using vm = await startGuestVm({ disks: 2, backing: true, paused: true });
    expect(vm.acknowledged()).toBe(0);
    const nodes = (await vm.witness.execute('query-named-block-nodes')) as {
      'node-name': string;
      file: string;
    }[];
    const fileOf = new Map(nodes.map(node => [node['node-name'], node.file]));
    for (const [index, disk] of vm.disks.entries()) {
      expect(fileOf.get(disk.node ?? '')).toBe(disk.file);
      expect(fileOf.get(`disk${index}-file`)).toBe(disk.file);
      expect(fileOf.get(`base${index}`)).toBe(disk.base);
    }
    const devices = (await vm.witness.execute('query-block')) as { qdev: string }[];
    expect(devices.map(({ qdev }) => qdev)).toEqual([
      expect.stringContaining('dev0'),
      expect.stringContaining('dev1'),
    ]);
    await vm.witness.execute('cont');
    await vm.awaitWrites(10);
  });

  test('that is idle runs and writes nothing', async () => {
    await using vm = await startGuestVm({ disks: 2, guest: 'idle', backing: true });
    const status = (await vm.witness.execute('query-status')) as { status: string };
    expect(status.status).toBe('running');
    await vm.quit();
    expect(vm.acknowledged()).toBe(0);
    expect(checkCut(await readCut(vm.disks))).toEqual({ consistent: true, upTo: 0 });
  });

  test('with bases has their data below its overlays', async () => {
    await using vm = await startGuestVm({ disks: 1, backing: true, guest: 'idle' });
    await vm.kill();
    const raw = join(vm.directory, 'raw');
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', vm.disks[0]?.file ?? '', raw);
    const data = (await readFile(raw)).subarray(BASE_DATA_OFFSET, BASE_DATA_OFFSET + BASE_DATA_BYTES);
    expect(data.equals(Buffer.alloc(BASE_DATA_BYTES, BASE_PATTERN))).toBe(true);
  });

  test('whose QEMU refuses its options says why', async () => {
    const starting = startGuestVm({ disks: 1, extraArguments: ['-device', 'no-such-device'] });
    await expect(starting).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      message: expect.stringContaining("'no-such-device' is not a valid device model name"),
    });
  });

  test('whose QEMU is not there says so', async () => {
    const starting = startGuestVm({ disks: 1, qemu: '/no/such/qemu' });
    await expect(starting).rejects.toMatchObject({
      code: 'QMP_CONNECT',
      message: expect.stringContaining('ENOENT'),
    });
  });

  test('that does not find a disk says which', async () => {
    const folder = await temporaryFolder();
    await using whole = await startGuestVm({ disks: 2, directory: folder, paused: true });
    await whole.kill();
    const [{ file, format } = { file: '', format: 'qcow2' as const }] = whole.disks;
    const twin = join(folder, 'twin.qcow2');
    await copyFile(file, twin);
    const images = [file, twin].map(name => ({ file: name, format }));
    const starting = startGuestVm({ disks: 2, images });
    await expect(starting).rejects.toMatchObject({
      code: 'DEADLINE',
      message: expect.stringContaining('no disk with index 1'),
    });
  });

  test('that dies takes no process along: what waits for it is told', async () => {
    await using vm = await startGuestVm({ disks: 1 });
    const waiting = vm.awaitWrites(10_000_000);
    process.kill(vm.pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ message: expect.stringContaining('QEMU has ended') });
    await expect(vm.witness.execute('query-status')).rejects.toMatchObject({ code: 'QMP_DISCONNECTED' });
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)('dies with the process that started it: %s', async signal => {
    const program = `
      import { startGuestVm } from ${JSON.stringify(new URL('../../src/demo/guest-vm.ts', import.meta.url).href)};
      const vm = await startGuestVm({ disks: 1 });
      console.log(vm.pid, vm.directory);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await Promise.race([once(createInterface(parent.stdout), 'line'), once(parent, 'exit')]);
    const [pid = '', directory = ''] = String(line[0]).split(' ');
    expect(directory).not.toBe(''); // it ended before it said anything
    expect(runs(Number(pid))).toBe(true);
    parent.kill(signal);
    await expect.poll(() => runs(Number(pid))).toBe(false);
    await expect.poll(() => existsSync(directory)).toBe(false);
  });

  test('leaves no process and no file behind', async () => {
    const vm = await startGuestVm({ disks: 2 });
    const { directory, pid } = vm;
    await vm[Symbol.asyncDispose]();
    expect(runs(pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });
});
