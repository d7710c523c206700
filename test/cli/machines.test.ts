import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { runProgram } from '../../src/cli/program.ts';
import { machineFor } from '../../src/machines/machine-for.ts';
import { mermaidOf } from '../../src/machines/mermaid.ts';
import { READY_MADE } from '../../src/machines/ready-made.ts';
import { fakeContext } from './fake-context.ts';

const DOCS = join(import.meta.dirname, '../../docs/machines');

const NAMES = [...Object.keys(READY_MADE), 'block-job'];

describe('blocksaga machines', () => {
  test.each(NAMES)(
    'docs/machines/%s.mmd is what "blocksaga machines" prints; if not, print it there anew',
    async name => {
      const context = fakeContext();
      expect(await runProgram(['machines', name], context)).toBe(0);
      expect(readFileSync(join(DOCS, `${name}.mmd`), 'utf8')).toBe(`${context.out.join('\n')}\n`);
    },
  );

  test('prints every machine when none is named', async () => {
    const context = fakeContext();
    await runProgram(['machines'], context);
    const titles = context.out.join('\n').matchAll(/^---\ntitle: (.*)\n/gm);
    expect(Array.from(titles, ([, title]) => title)).toEqual(NAMES);
  });

  test('prints a config that XState can load again, with the same states', async () => {
    const context = fakeContext();
    expect(await runProgram(['machines', 'copy-reopen', '--format', 'json'], context)).toBe(0);
    const again = createMachine(JSON.parse(context.out.join('\n')));
    expect(Object.keys(again.states)).toEqual(Object.keys(machineFor(READY_MADE['copy-reopen']).states));
    expect(again.getStateNodeById('copy.switching.reopenFilters').invoke[0]?.src).toBe('reopenFilters');
  });

  test('refuses a machine that is not there, naming those that are', async () => {
    const context = fakeContext();
    expect(await runProgram(['machines', 'merge'], context)).toBe(2);
    expect(context.err.join()).toContain(NAMES.join(', '));
  });
});

describe('a drawn machine', () => {
  const machine = createMachine({
    id: 'small',
    initial: 'working',
    states: {
      working: {
        initial: 'first',
        states: {
          first: { invoke: { src: 'a', onDone: 'second', onError: '#failed' } },
          second: {
            invoke: {
              src: 'b',
              onDone: { guard: { type: 'nameIs', params: { name: 'x y' } }, target: '#done' },
              onError: '#failed',
            },
          },
          'third one': { on: { poke: '#failed.late' } },
        },
      },
      failed: { id: 'failed', initial: 'early', states: { early: {}, late: {} } },
      done: { id: 'done', type: 'final' },
    },
    on: { reset: '.working', show: {} },
  });
  const lines = mermaidOf('small', machine)
    .split('\n')
    .map(line => line.trim());

  test('has each state once, and where each composite begins', () => {
    expect(lines.filter(line => line.startsWith('state '))).toEqual([
      'state "any state" as any',
      'state "working" as working {',
      'state "first" as working_first',
      'state "second" as working_second',
      'state "third one" as working_third_one',
      'state "failed" as failed {',
      'state "early" as failed_early',
      'state "late" as failed_late',
      'state "done" as done',
    ]);
    expect(lines.filter(line => line.startsWith('[*]'))).toEqual([
      '[*] --> working_first',
      '[*] --> failed_early',
      '[*] --> working',
    ]);
  });

  test('draws what leaves a composite between the outermost states, and says where it comes from', () => {
    expect(lines.filter(line => line.includes('-->') && !line.startsWith('[*]'))).toEqual([
      'working_first --> working_second : done',
      'any --> working : reset',
      'working --> failed : first or second failed, third one poke, to late',
      'working --> done : second done [nameIs x y]',
      'done --> [*]',
    ]);
  });
});

test('all machines as JSON are one document, by their names', async () => {
  const context = fakeContext();
  expect(await runProgram(['machines', '--format', 'json'], context)).toBe(0);
  const all = JSON.parse(context.out.join('\n'));
  expect(Object.keys(all)).toEqual(NAMES);
  expect(createMachine(all['copy-reopen']).id).toBe('copy');
});
