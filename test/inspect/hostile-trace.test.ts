/** The file of a trace is anybody's: cut off, begun anew in its place, garbage, a folder, a pipe. The page tells what can be read. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WireFile } from '../../src/inspect/wire-file.ts';

let folder: string;
let file: string;
let wire: WireFile;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-trace-'));
  file = join(folder, 'wire.ndjson');
  wire = new WireFile(file);
});
afterEach(() => rmSync(folder, { recursive: true }));

function line(atMs: number): string {
  return `{"format":1,"atMs":${atMs},"saga":"s","step":"a.b","to":"qemu","message":{"execute":"stop"}}\n`;
}

test('one that is cut off and written from its beginning again is read from there', () => {
  writeFileSync(file, line(1) + line(2) + line(3));
  expect(wire.lines('s', 0).total).toBe(3);
  truncateSync(file, 0);
  appendFileSync(file, line(4));
  expect(wire.lines('s', 3).lines).toEqual([line(4).trim()]);
});

test('one that was rotated twice between two looks loses lines, and no line is broken', () => {
  writeFileSync(file, line(1) + line(2).slice(0, 40));
  wire.lines('s', 0);
  for (const at of [3, 4]) {
    renameSync(file, `${file}.1`);
    writeFileSync(file, line(at));
  }
  const { lines } = wire.lines('s', 0);
  // The file system may give the new one the number of the oldest: what was between them is lost then.
  expect([line(1), line(3), line(4)].map(each => each.trim())).toEqual(
    expect.arrayContaining([...(lines ?? [])]),
  );
  expect(lines?.at(-1)).toBe(line(4).trim());
});

test.each<[string, string]>([
  ['bytes of no text', '\0\xff\xfe\x01'.repeat(10_000)],
  ['JSON of something else', '{"a":1}\n[1,2]\nnull\n"x"\n'],
  ['a saga that no JSON can name', '{"format":1,"atMs":1,"saga":"\\q","step":"a"}\n'],
  ['one endless line', 'x'.repeat(3 * 2 ** 20)],
  ['names of what every object has', '{"format":1,"atMs":1,"saga":"__proto__","step":"a","message":{}}\n'],
])('%s is passed over', (_what, garbage) => {
  writeFileSync(file, line(1), 'latin1');
  appendFileSync(file, `${garbage}\n${line(2)}`, 'latin1');
  expect(wire.lines('s', 0)).toEqual({ lines: [line(1).trim(), line(2).trim()], first: 0, total: 2 });
  expect(wire.lines('constructor', 0).total).toBe(0);
});

test('a folder or a pipe in its place is told of, and holds nothing up', () => {
  mkdirSync(file);
  expect(wire.lines('s', 0)).toMatchObject({ lines: [], trouble: expect.stringContaining('is no file') });
  rmSync(file, { recursive: true });
  execFileSync('mkfifo', [file]);
  expect(wire.lines('s', 0).trouble).toContain('is no file');
  rmSync(file);
  writeFileSync(file, line(1));
  expect(wire.lines('s', 0)).toEqual({ lines: [line(1).trim()], first: 0, total: 1 });
});

test.skipIf(process.getuid?.() === 0)('one that is closed to us is told of', () => {
  writeFileSync(file, line(1));
  chmodSync(file, 0);
  expect(wire.lines('s', 0).trouble).toContain('EACCES');
});
