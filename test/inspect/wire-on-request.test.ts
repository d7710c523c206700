/** A process tells a page what goes over its monitors while that is open, and writes nothing while none is. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { WireLine } from '../../src/engine/connection/wire.ts';
import { traceOnRequest, watchWire } from '../../src/engine/connection/wire-on-request.ts';
import { systemClock } from '../../src/qmp/clock.ts';

let folder: string;
let journal: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wire-'));
  journal = join(folder, 'journal.db');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const OPTIONS = {
  clock: systemClock,
  onLost: (why: string) => {
    throw new Error(why);
  },
};

function said(number: number): WireLine {
  const message = {
    execute: 'object-add',
    arguments: { 'qom-type': 'secret', id: 'x', data: 'hidden' },
    id: number,
  };
  return { atMs: number, saga: 's', step: 'preparing.markQemu', to: 'qemu', message };
}

function ids(): readonly number[] {
  const lines = readFileSync(`${journal}.wire`, 'utf8').trim().split('\n');
  return lines.map(line => JSON.parse(line).message.id);
}

test('without a page nothing is written, to the end', async () => {
  const wire = traceOnRequest(journal, OPTIONS);
  for (let at = 0; at < 10; at += 1) wire.trace(said(at));
  await wire.close();
  expect(existsSync(`${journal}.wire`)).toBe(false);
});

test('a page that is opened late has the last messages, then each as it comes, without secrets, and when it is closed no more', async () => {
  const wire = traceOnRequest(journal, OPTIONS);
  for (let at = 0; at < 700; at += 1) wire.trace(said(at));
  const page = watchWire(journal, OPTIONS);
  await expect.poll(() => existsSync(`${journal}.wire`)).toBe(true);
  wire.trace(said(700));
  await expect.poll(() => ids().at(-1)).toBe(700);
  expect(ids()).toEqual(Array.from({ length: 501 }, (_, at) => at + 200));
  expect(readFileSync(`${journal}.wire`, 'utf8')).not.toContain('hidden');
  expect(statSync(`${journal}.wire`).mode & 0o077).toBe(0);
  await page.close();
  expect(existsSync(`${journal}.watched`)).toBe(false);
  await new Promise(resolve => setTimeout(resolve, 1_000));
  wire.trace(said(701));
  await wire.close();
  expect(ids().at(-1)).toBe(700);
});

test('a process that is over before it has looked tells an open page all the same', async () => {
  const page = watchWire(journal, OPTIONS);
  await expect.poll(() => existsSync(`${journal}.watched`)).toBe(true);
  const wire = traceOnRequest(journal, OPTIONS);
  wire.trace(said(1));
  await wire.close();
  expect(ids()).toEqual([1]);
  await page.close();
});
