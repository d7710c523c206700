/** Which process is behind a monitor's socket, asked again and again while such processes come and go. They are no QEMUs: they hold files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findQemuProcess } from '../../src/engine/connection/qemu-process.ts';
import { identityOf } from '../../src/images/file-identity.ts';

/** Listens, opens what it is told, and stops to listen when it hears anything. */
const HOLDER = `
const [socket, ...files] = process.argv.slice(1);
for (const file of files) require('node:fs').openSync(file);
const server = require('node:net').createServer().listen(socket, () => process.send('up'));
process.on('message', () => server.close(() => process.send('closed')));
`;

let folder: string;
let children: ChildProcess[];
const image = () => join(folder, 'disk0.qcow2');
const socket = () => join(folder, 'vm.qmp');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blocksaga-process-'));
  children = [];
  writeFileSync(image(), 'an image');
});
afterEach(async () => {
  for (const child of children) await end(child);
  rmSync(folder, { recursive: true, force: true });
});

async function holder(...files: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', HOLDER, socket(), ...files], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  await once(child, 'message');
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

const find = () => findQemuProcess(socket(), [image()]);

test('it is found each time, with what it has open then', async () => {
  await holder(image());
  const [first, again] = [await find(), await find()];
  const own = identityOf(statSync(image(), { bigint: true }));
  for (const each of [first, again]) expect(await each?.openFiles()).toContain(own);
});

test('one that has the image open and listens there no more is not taken for the one that does', async () => {
  const before = await holder(image());
  expect(await find()).toBeDefined();
  before.send('close');
  await once(before, 'message');
  const next = await holder();
  expect(await find()).toBeUndefined();
  await end(next);
  rmSync(socket());
  await holder(image());
  expect(await find()).toBeDefined();
});
