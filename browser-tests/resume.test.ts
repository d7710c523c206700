/**
 * The resume button, as a person at night has it: the process of a copy is killed (SIGKILL) while a real guest writes, the page is
 * opened by the command, the button pressed, and every acknowledged write is looked for in the images.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../src/demo/ordered-cut.ts';
import { buildCommand, type Running, startCommand } from '../test/qemu/cli-process.ts';
import { SLOW_PACING_US } from '../test/qemu/pace.ts';
import { temporaryFolder } from '../test/qmp/socket-folder.ts';
import { often } from '../test/tiers/tier.ts';
import { startBrowser, watchedPage } from './browser.ts';

let browser: Browser;
let vm: GuestVm;
const strange: string[] = [];

beforeAll(async () => {
  browser = await startBrowser();
  buildCommand();
  vm = await startGuestVm({ disks: 2, sizeBytes: 8 * 2 ** 20, pacingUs: SLOW_PACING_US });
});
afterAll(async () => {
  await browser?.close();
  await vm?.[Symbol.asyncDispose]();
});

const newFiles = (id: string) => [0, 1].map(at => join(vm.directory, `${id}${at}.qcow2`));

/** A copy whose process is killed in the middle of its mirrors, and a page over its journal. */
async function killedCopy(id: string): Promise<{ readonly page: Page; readonly command: Running }> {
  const state = temporaryFolder();
  const disks = newFiles(id).flatMap((file, at) => ['--disk', `dev${at},to=${file}`]);
  const copy = startCommand(
    ...[
      state,
      'copy',
      '--qmp',
      vm.monitor,
      '--vm',
      'night',
      '--id',
      id,
      ...disks,
      '--bandwidth',
      '16K',
      '--json',
    ],
  );
  await copy.line(line => line.includes('"status":"running"'));
  copy.child.kill('SIGKILL');
  await copy.status;
  const command = startCommand(state, 'inspect');
  const [, address = ''] = /^Open (.*)$/.exec(await command.line(line => line.startsWith('Open '))) ?? [];
  const page = await watchedPage(browser, strange);
  await page.goto(address);
  await page.getByRole('link', { name: /night/ }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Interrupted');
  return { page, command };
}

async function fronts(): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block')) as { inserted: { file: string } }[];
  return blocks.map(({ inserted }) => inserted.file);
}

async function closed({ page, command }: { readonly page: Page; readonly command: Running }): Promise<void> {
  await page.close();
  command.child.kill('SIGINT');
  expect(await command.status).toBe(0);
  expect(strange).toEqual([]);
}

test('a killed copy is resumed and rolled back by a button: every disk is where it was, and no file is left', async () => {
  const [before, files] = [await fronts(), readdirSync(vm.directory)];
  const { page, command } = await killedCopy('back');
  await page.getByRole('button', { name: 'Resume and roll back …' }).click();
  expect(await page.locator('.confirm').innerText()).toContain('every disk stays on its old image');
  await page.getByRole('button', { name: 'Resume and roll back', exact: true }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Rolled back');
  expect([await fronts(), readdirSync(vm.directory)]).toEqual([before, files]);
  expect(command.out).toContain('saga back, resumed here: rolledBack');
  await closed({ page, command });
});

test('a killed copy is resumed by a button and commits: the scar is drawn, and no acknowledged write is lost', async () => {
  const { page, command } = await killedCopy('night');
  await page.getByRole('button', { name: 'Resume …' }).click();
  expect(await page.locator('.confirm').innerText()).toContain('becomes that of this saga');
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await expect.poll(() => page.locator('.answer').innerText()).toContain('Resumed here');
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Under way');
  await page.getByLabel('Speed per disk, MiB/s').fill('0');
  await page.getByRole('button', { name: 'Set' }).click();
  await expect.poll(() => page.locator('.pill').innerText()).toBe('Committed');
  expect(await page.locator('.line svg .tear').count()).toBe(1);
  expect(await page.locator('.line svg text').allTextContents()).toContain('process died');
  expect(await page.locator('.facts').innerText()).toContain('2 processes');
  const shot = process.env['BLOCKSAGA_SCREENSHOT'];
  if (shot !== undefined) await page.screenshot({ path: shot });
  expect(command.out).toContain('saga night, resumed here: committed');
  expect(await fronts()).toEqual(newFiles('night'));
  await vm.awaitWrites(often(10, 50));
  await closed({ page, command });

  await vm.kill();
  const acknowledged = vm.acknowledged();
  const cut = await readCut(newFiles('night').map(file => ({ file, format: 'qcow2' })));
  expect(checkCut(cut)).toMatchObject({ consistent: true });
  expect(missingWrites(cut, acknowledged)).toEqual([]);
  console.log(
    `killed, and resumed on the page: all of ${acknowledged} acknowledged writes are in the new images`,
  );
});
