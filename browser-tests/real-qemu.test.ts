/** The page over a real QEMU whose guest writes: live progress, and a button that switches its disks. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startGuestVm } from '../src/demo/guest-vm.ts';
import { createEngine } from '../src/engine/engine.ts';
import { serveInspect } from '../src/inspect/server.ts';
import { systemProcesses } from '../src/journal/holder.ts';
import { openJournal } from '../src/journal/sqlite.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { connectSocket } from '../src/qmp/socket.ts';
import { temporaryFolder } from '../test/qmp/socket-folder.ts';
import { startBrowser } from './browser.ts';

const SLOWLY = 64 * 2 ** 10;

test('a copy of a writing guest is followed, and switched by a button', async () => {
  await using ends = new AsyncDisposableStack();
  const folder = temporaryFolder();
  const own = join(folder, 'page.qmp');
  const extraArguments = ['-qmp', `unix:${own},server=on,wait=off`];
  const vm = ends.use(await startGuestVm({ disks: 2, backing: true, extraArguments }));
  const journal = openJournal(join(folder, 'journal.db'));
  ends.defer(() => journal.close());
  const clock = systemClock;
  const server = await serveInspect({
    journal,
    processes: systemProcesses(),
    clock,
    connect: connectSocket(own, { clock }),
  });
  ends.defer(() => server.close());
  const browser = await startBrowser();
  ends.defer(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(server.address);
  await expect.poll(() => page.locator('.shown').innerText()).toContain('No sagas yet');

  const disks = vm.disks.map(({ device }) => ({
    disk: device,
    to: join(vm.directory, `${device}.copy.qcow2`),
  }));
  const engine = createEngine({ journal });
  const saga = await engine.copy({
    qmp: vm.monitor,
    id: 'seen',
    vm: 'seen',
    disks,
    bandwidth: SLOWLY,
    finish: 'leave',
  });
  await page.getByRole('link', { name: /seen/ }).click();
  const figures = page.locator('.disks svg text');
  await expect.poll(() => figures.allTextContents()).toContainEqual(expect.stringMatching(/^\d+ % of \d/));
  await expect.poll(() => figures.allTextContents()).toContainEqual(expect.stringMatching(/B\/s · .* left$/));
  const shot = process.env['BLOCKSAGA_SCREENSHOT'];
  if (shot !== undefined) await page.screenshot({ path: shot });
  await page.getByLabel('Speed per disk, MiB/s').fill('0');
  await page.getByRole('button', { name: 'Set' }).click();
  await saga.result;
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Waits');
  await page.getByRole('button', { name: 'Switch all disks …' }).click();
  await page.getByRole('button', { name: 'Switch all disks', exact: true }).click();

  expect((await saga.ended).outcome).toBe('committed');
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Committed');
  expect(await page.locator('.outcome').innerText()).toContain('Both disks are on their new images.');
  expect(await page.locator('.facts').innerText()).toMatch(/guest paused [\d.]+ m?s at most/);
});
