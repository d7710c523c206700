/**
 * Disks of more nodes than a format on a protocol: a raw slice on a storage node, a node of its own for the data of a qcow2
 * image. What a disk has left is closed with all that is below it, a doctor names what is not, and a copy back is possible.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { examine, removeFindings } from '../../src/engine/doctor/doctor.ts';
import { openQmpClient } from '../../src/qmp/client.ts';
import { connectSocket } from '../../src/qmp/socket.ts';
import { bootShows, type OddGuest, oddGuest, SIZE_BYTES } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE = String(SIZE_BYTES);
const OFFSET_BYTES = 1024 * 1024;

/** A raw slice on a storage node, as KubeVirt has them; inline, or each node by its name. */
async function slice(folder: string, isNamed: boolean) {
  const file = join(folder, 'volume.raw');
  await qemuImg('create', '-q', '-f', 'raw', file, String(SIZE_BYTES + 2 * OFFSET_BYTES));
  const storage = { driver: 'file', filename: file };
  const part = { driver: 'raw', offset: OFFSET_BYTES, size: SIZE_BYTES };
  if (!isNamed) return [{ driver: 'raw', file: { ...part, file: storage } }];
  return [
    { 'node-name': 'sto', ...storage },
    { 'node-name': 'slice', ...part, file: 'sto' },
    { driver: 'raw', file: 'slice' },
  ];
}

async function withDataFile(folder: string, isNamed: boolean) {
  const file = join(folder, 'old.qcow2');
  const data = join(folder, 'old.data');
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, file, SIZE);
  const storage = { driver: 'file', filename: file };
  if (!isNamed) return [{ driver: 'qcow2', file: storage }];
  return [
    { 'node-name': 'sto', ...storage },
    { 'node-name': 'data', driver: 'file', filename: data },
    { driver: 'qcow2', file: 'sto', 'data-file': 'data' },
  ];
}

const LAYOUTS = [
  { what: 'a slice, each node named', make: (folder: string) => slice(folder, true) },
  { what: 'a slice, in one tree', make: (folder: string) => slice(folder, false) },
  { what: 'a data file, each node named', make: (folder: string) => withDataFile(folder, true) },
  { what: 'a data file, in one tree', make: (folder: string) => withDataFile(folder, false) },
];

async function copyTo({ vm, engine }: OddGuest, to: string, more: object = {}) {
  const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, disks: [{ disk: 'odd0', to, ...more }] };
  return (await engine.copy(request)).result;
}

describeOnQemu('nodes below an image', () => {
  test.each(LAYOUTS)('are closed when a copy has left them: $what', async ({ make }) => {
    const guest = await oddGuest(make);
    const { vm, folder, nodes, write } = guest;
    const before = await nodes();
    await write('odd0');
    const to = join(folder, 'new.qcow2');
    const result = await copyTo(guest, to, { format: 'qcow2' });
    expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    const left = (await nodes()).filter(node => before.includes(node) && !/^disk|^#/.test(node));
    expect(left).toEqual([]);
    await vm.kill();
    expect(await bootShows({ driver: 'qcow2', file: { driver: 'file', filename: to } }, folder)).toBe(true);
  });

  test.each(LAYOUTS.slice(2))('leave a copy back possible: $what', async ({ make }) => {
    const guest = await oddGuest(make);
    const { vm, folder, write } = guest;
    await write('odd0');
    const to = join(folder, 'new.qcow2');
    expect(await copyTo(guest, to, { format: 'qcow2' })).toMatchObject({ outcome: 'committed' });
    await write('odd0', 1024 * 1024);
    const old = join(folder, 'old.qcow2');
    const back = await copyTo(guest, old, { reuse: true });
    expect(back).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    await vm.kill();
    const image = { driver: 'qcow2', file: { driver: 'file', filename: old } };
    expect(await bootShows(image, folder)).toBe(true);
    expect(await bootShows(image, folder, 1024 * 1024)).toBe(true);
  });

  test('that another user keeps open are told by the result and by the doctor, who closes them later', async ({
    skip,
  }) => {
    const guest = await oddGuest(folder => slice(folder, true));
    const { vm, folder, ask, nodes } = guest;
    const theirs = { driver: 'raw', 'node-name': 'theirs', file: 'sto', size: OFFSET_BYTES };
    const isRefused = await ask('blockdev-add', { ...theirs, 'read-only': true }).then(
      () => false,
      () => true,
    );
    skip(isRefused, 'this QEMU lets nothing else use a node below a slice');
    const result = await copyTo(guest, join(folder, 'new.qcow2'), { format: 'qcow2' });
    expect(result).toMatchObject({ outcome: 'committed', error: null });
    expect(result.leftovers).toEqual([expect.stringMatching(/^node sto /)]);
    const admin = await openQmpClient(connectSocket(vm.monitor));
    onTestFinished(() => admin.close());
    const doctor = () => examine({ journal: guest.journal, qmp: admin });
    expect(await doctor()).toMatchObject([
      { kind: 'node', name: 'sto', saga: result.saga, removable: false },
    ]);
    await ask('blockdev-del', { 'node-name': 'theirs' });
    const findings = await doctor();
    expect(findings).toMatchObject([{ kind: 'node', name: 'sto', saga: result.saga, removable: true }]);
    expect(await removeFindings(findings)).toMatchObject([{ removed: true }]);
    expect(await nodes()).not.toContain('sto');
    expect(await doctor()).toEqual([]);
  });
});

/** An overlay that keeps its data in a file of its own, on a base. */
async function onBase(folder: string, snapshots: readonly string[] = []) {
  const [base, over, data] = ['base.qcow2', 'over.qcow2', 'over.data'].map(file => join(folder, file));
  await qemuImg('create', '-q', '-f', 'qcow2', base ?? '', SIZE);
  const options = snapshots.length > 0 ? [] : ['-o', `data_file=${data}`];
  await qemuImg('create', '-q', '-f', 'qcow2', ...options, '-b', base ?? '', '-F', 'qcow2', over ?? '');
  for (const name of snapshots) await qemuImg('snapshot', '-c', name, over ?? '');
  return [{ driver: 'qcow2', file: { driver: 'file', filename: over } }];
}

describeOnQemu('images that a commit is to remove', () => {
  const commit = async ({ vm, engine }: OddGuest) => {
    const request = { qmp: vm.monitor, maxBlackoutMs: 30_000, active: true, delete: true };
    return (await engine.commit({ ...request, disks: [{ disk: 'odd0' }] })).result;
  };

  test('go with the files that their data are in', async () => {
    const guest = await oddGuest(folder => onBase(folder));
    const { vm, folder, engine, write } = guest;
    await write('odd0');
    const request = { qmp: vm.monitor, active: true, delete: true, disks: [{ disk: 'odd0' }] };
    const files = ['over.qcow2', 'over.data'].map(file => join(folder, file));
    const { leaving } = (await engine.planCommit(request)) as {
      readonly leaving?: readonly { readonly file: string }[];
    };
    expect(leaving?.map(({ file }) => file)).toEqual(files);
    expect(await commit(guest)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
    expect(files.filter(existsSync)).toEqual([]);
    await vm.kill();
    const base = { driver: 'qcow2', file: { driver: 'file', filename: join(folder, 'base.qcow2') } };
    expect(await bootShows(base, folder)).toBe(true);
  });

  test('stay where they hold internal snapshots, as the plan and the result say', async () => {
    const guest = await oddGuest(folder => onBase(folder, ['before']));
    const over = join(guest.folder, 'over.qcow2');
    const result = await commit(guest);
    expect(result).toMatchObject({ outcome: 'committed', error: null, notRemoved: [over] });
    expect(result.losses).toEqual([expect.stringContaining('before')]);
    expect(existsSync(over)).toBe(true);
  });

  test('stay below one that stays: its internal snapshots are read through them', async () => {
    const guest = await oddGuest(async folder => {
      const [base, middle, over] = ['base.qcow2', 'middle.qcow2', 'over.qcow2'].map(file =>
        join(folder, file),
      );
      await qemuImg('create', '-q', '-f', 'qcow2', base ?? '', SIZE);
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', base ?? '', '-F', 'qcow2', middle ?? '');
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', middle ?? '', '-F', 'qcow2', over ?? '');
      await qemuImg('snapshot', '-c', 'before', over ?? '');
      return [{ driver: 'qcow2', file: { driver: 'file', filename: over } }];
    });
    const [over = '', middle = ''] = ['over.qcow2', 'middle.qcow2'].map(file => join(guest.folder, file));
    const result = await commit(guest);
    expect(result).toMatchObject({ outcome: 'committed', error: null, notRemoved: [over, middle] });
    expect(result.leftovers).toContainEqual(
      expect.stringContaining(`${over} stays, and cannot be read without it`),
    );
    await guest.vm.kill();
    expect(existsSync(middle)).toBe(true);
    await qemuImg('check', '-q', over); // throws where what it stands on is not there
  });
});
