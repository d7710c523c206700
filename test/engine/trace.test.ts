/** What went over a saga's monitor, with its steps; in a file, within a bound, without secrets, and never in the way. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTraceFile } from '../../src/engine/connection/trace-file.ts';
import { type WireLine, withoutSecrets } from '../../src/engine/connection/wire.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { WireFile } from '../../src/inspect/wire-file.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { createSim } from '../../src/sim/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';

const DISKS = ['disk0', 'disk1'].map(disk => ({ disk, to: `/images/${disk}.copy` }));

async function copyTraced(trace: (line: WireLine) => void, onListenerError?: (error: unknown) => void) {
  const sim = createSim({ disks: 2 });
  const engine = createEngine({
    ...{ journal: memoryJournal(), clock: sim.clock, trace },
    ...(onListenerError === undefined ? {} : { onListenerError }),
  });
  const saga = await sim.run(engine.copy({ qmp: sim.connect, files: sim.files, id: 's', disks: DISKS }));
  return await sim.run(saga.result);
}

test('each message is told with the step that it was for, and each command has its reply', async () => {
  const lines: WireLine[] = [];
  expect((await copyTraced(line => lines.push(line))).outcome).toBe('committed');
  const commands = lines
    .filter(({ to }) => to === 'qemu')
    .map(({ step, message }) => [step, executed(message)]);
  expect(commands).toContainEqual(['mirroring.mirrorDisks', 'blockdev-mirror']);
  expect(commands).toContainEqual(['switching.pauseGuest', 'stop']);
  expect(commands).toContainEqual(['switching.reopenFilters', 'blockdev-reopen']);
  expect(commands).toContainEqual(['switching.resumeGuest', 'cont']);
  const ids = (to: WireLine['to']) =>
    lines
      .flatMap(line => (line.to === to ? (member(line.message, 'id') ?? []) : []))
      .map(String)
      .toSorted();
  expect(ids('blocksaga')).toEqual(ids('qemu'));
  expect(lines.some(({ message }) => member(message, 'event') === 'STOP')).toBe(true);
});

test('a trace that throws changes nothing for the saga, and is told', async () => {
  const told: unknown[] = [];
  const broken = () => {
    throw new Error('full');
  };
  expect((await copyTraced(broken, error => told.push(error))).outcome).toBe('committed');
  expect(told[0]).toMatchObject({ message: 'full' });
});

test.each<[string, Json, readonly string[]]>([
  [
    'what a secret object holds',
    { execute: 'object-add', arguments: { 'qom-type': 'secret', id: 's0', data: 'hush', format: 'raw' } },
    ['hush'],
  ],
  ['a password', { execute: 'set_password', arguments: { protocol: 'vnc', password: 'hush' } }, ['hush']],
  [
    'credentials in addresses, deep inside',
    { execute: 'blockdev-add', arguments: { file: { url: 'https://me:hush@host/x', cookie: 'hush' } } },
    ['hush', 'me:'],
  ],
])('%s is taken out, and the names stay', (_what, message, secrets) => {
  const text = JSON.stringify(withoutSecrets(message));
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).toContain(String(member(message, 'execute')));
  const named = {
    execute: 'blockdev-add',
    arguments: { 'key-secret': 's0', encrypt: { 'key-secret': 's1' } },
  };
  expect(withoutSecrets(named)).toEqual(named);
});

test('the file is bounded by two, for its owner only, and read on as it grows and is begun anew', async () => {
  const file = join(temporaryFolder(), 'wire.ndjson');
  const wire = openTraceFile(file, { fileBytesMax: 4_000 });
  const reader = new WireFile(file);
  const line = (saga: string, at: number): WireLine => {
    return {
      atMs: at,
      saga,
      step: 'a.b',
      to: 'qemu',
      message: { execute: 'query-jobs', id: at, text: 'ü"\n' },
    };
  };
  expect(reader.lines('s', 0)).toEqual({ lines: [], first: 0, total: 0 });
  for (let at = 0; at < 100; at += 1) {
    wire.trace(line(at % 2 === 0 ? 's' : 'other "one"', at));
    await wire.close();
    if (at % 7 === 0) reader.lines('s', 0);
  }
  expect(statSync(file).mode & 0o077).toBe(0);
  for (const each of [file, `${file}.1`]) expect(statSync(each).size).toBeLessThan(4_200);
  const told = reader.lines('s', 0);
  expect(told.total).toBe(50);
  expect(told.lines?.map(each => JSON.parse(each).atMs)).toEqual(
    Array.from({ length: 50 }, (_, at) => 2 * at),
  );
  expect(reader.lines('s', 48).lines).toHaveLength(2);
  expect(reader.lines('other "one"', 0).total).toBe(50);
  expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '')).toMatchObject({
    ...{ format: 1, step: 'a.b', to: 'qemu', message: { text: 'ü"\n' } },
  });
});

test('a message too long to keep is cut, and says so', async () => {
  const file = join(temporaryFolder(), 'wire.ndjson');
  const wire = openTraceFile(file);
  wire.trace({ atMs: 1, saga: 's', step: '', to: 'blocksaga', message: { return: 'x'.repeat(100_000) } });
  await wire.close();
  const { message } = JSON.parse(readFileSync(file, 'utf8'));
  expect(message.cut).toBeGreaterThan(100_000);
  expect(message.begins).toHaveLength(2_000);
});

test('what cannot be written is told once, and holds nothing up', async () => {
  const lost: string[] = [];
  const wire = openTraceFile(join(temporaryFolder(), 'no', 'folder', 'wire.ndjson'), {
    onLost: why => lost.push(why),
  });
  for (const atMs of [1, 2]) {
    wire.trace({ atMs, saga: 's', step: '', to: 'qemu', message: {} });
    await wire.close();
  }
  expect(lost).toEqual([expect.stringContaining('ENOENT')]);
});

function executed(message: Json): unknown {
  return member(message, 'execute');
}

function member(message: Json, name: string): unknown {
  return (message as Record<string, unknown>)[name];
}

test('of a long saga the newest lines are handed out in parts, each once, also when older ones were let go of', async () => {
  const file = join(temporaryFolder(), 'wire.ndjson');
  const wire = openTraceFile(file);
  const LINES = 20_150;
  for (let at = 0; at < LINES; at += 1) {
    wire.trace({ atMs: at, saga: 's', step: 'a', to: 'qemu', message: { execute: 'query-jobs', id: at } });
  }
  await wire.close();
  const reader = new WireFile(file);
  const got: string[] = [];
  for (let from = 0, total = 1; from < total; ) {
    const told = reader.lines('s', from);
    got.push(...(told.lines ?? []));
    from = told.first + (told.lines?.length ?? 0);
    total = told.total;
  }
  const places = got.map(line => (JSON.parse(line) as { atMs: number }).atMs);
  expect(places).toEqual(Array.from({ length: 20_000 }, (_, at) => at + LINES - 20_000));
  expect(reader.all('s')).toEqual(got);
});
