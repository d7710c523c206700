/**
 * Keeps the page for administrators at night true: every error code is on it, its words are those that are printed, and its
 * commands and their options are there. Whether a claim about QEMU holds is for the tests on QEMU.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/print/exit-status.ts';
import { runProgram } from '../../src/cli/program.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { FOREIGN_COMMANDS } from '../../src/fuzz/scenario/foreign-commands.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { anchorOf } from './anchors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/what-can-go-wrong.md'), 'utf8');
const text = page.replaceAll(/\s+/g, ' ');

/** All texts of the sources, with pieces that are joined by `+` as one. */
function sources(): string {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.ts'),
  );
  return files
    .map(name => readFileSync(join(ROOT, 'src', name), 'utf8'))
    .join('\n')
    .replaceAll(/['`]\s*\+\s*['`]/g, '')
    .replaceAll(/\s+/g, ' ');
}

describe('the page of what can go wrong', () => {
  test('lists each of its sections once, at its head', () => {
    const [head = '', ...sections] = page.split(/^## /m);
    const listed = [...head.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor ?? '');
    expect(listed.sort()).toEqual(sections.map(section => anchorOf(section.split('\n')[0] ?? '')).sort());
  });

  test('names every error code', () => {
    expect(ERROR_CODES.length).toBeGreaterThan(20);
    expect(ERROR_CODES.filter(code => !page.includes(`\`${code}\``))).toEqual([]);
  });

  test('names no code that there is not', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z_]{4,})`/g)].map(([, code]) => code ?? '');
    expect(named.filter(code => !ERROR_CODES.includes(code))).toEqual([]);
  });

  test('has a row for every exit status', () => {
    const rows = [...page.matchAll(/^\| (\d+) +\| .* \|$/gm)].map(([, status]) => Number(status));
    expect([...new Set(rows)].sort((a, b) => a - b)).toEqual(Object.values(EXIT).sort((a, b) => a - b));
  });

  test('quotes what is printed', () => {
    const printed = sources();
    const quotes = [...text.matchAll(/“([^”]+)”/g)].map(([, quote]) => quote ?? '');
    expect(quotes.length).toBeGreaterThan(40);
    expect(quotes.filter(quote => quote !== 'these marks' && !printed.includes(quote))).toEqual([]);
  });

  test('names commands and options that there are', async () => {
    const lines = [...page.matchAll(/(?:`|^)blocksaga ([a-z-]+)([^`\n]*)/gm)];
    expect(lines.length).toBeGreaterThan(20);
    for (const [line, command = '', rest = ''] of lines) {
      const context = fakeContext();
      expect(await runProgram(['help', command], context), line).toBe(0);
      const help = context.out.join('\n');
      const options = [...(rest.split('#')[0] ?? '').matchAll(/--[a-z-]+/g)].map(([option]) => option);
      expect(
        options.filter(option => !help.includes(option)),
        line,
      ).toEqual([]);
    }
  });

  test('names no option that no command has', async () => {
    const named = [...page.matchAll(/`(--[a-z-]+)(?: [A-Za-z]+)?`/g)].map(([, option]) => option ?? '');
    expect(named.length).toBeGreaterThan(5);
    const commands = [...page.matchAll(/blocksaga ([a-z-]+)/g)].map(([, command]) => command ?? '');
    const context = fakeContext();
    for (const command of new Set(['copy', 'commit', ...commands]))
      await runProgram(['help', command], context);
    const help = context.out.join('\n');
    expect(named.filter(option => !help.includes(`${option} `) && !help.includes(`${option}\n`))).toEqual([]);
  });

  test('names what third parties send that sagas are not shown to survive', () => {
    const held = Object.entries(FOREIGN_COMMANDS).filter(([, row]) => row.held !== undefined);
    const words = held.flatMap(([name]) => name.split(', '));
    expect(words.filter(word => !page.includes(`\`${word}\``))).toEqual([]);
  });
});
