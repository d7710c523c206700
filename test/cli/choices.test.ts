/** Words of a list: the command line knows those that the API knows, and no others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { STANDINGS } from '../../src/engine/look-up.ts';
import { createEngine, openJournal, requestSchemas } from '../../src/index.ts';
import { PROFILE_NAMES, realTimeClock } from '../../src/sim/index.ts';
import { smallSim } from '../engine/lives.ts';
import { fakeContext } from './fake-context.ts';

interface Schema {
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** The command of an operation, and what its requests cannot do without. */
const COMMANDS = {
  snapshot: ['snapshot', 'disk0,overlay=/i/a.qcow2'],
  copy: ['copy', 'disk0,to=/n/a.qcow2'],
  commit: ['commit', 'disk0'],
  pull: ['pull', 'disk0'],
  revert: ['revert', 'disk0,overlay=/i/a.qcow2'],
} as const;

const choices = Object.entries(COMMANDS).flatMap(([operation, [command, disk]]) => {
  const { properties = {} } = requestSchemas[operation as keyof typeof COMMANDS].jsonSchema() as Schema;
  const wordsIn = (fields: Readonly<Record<string, Schema>>) =>
    Object.entries(fields).flatMap(([field, { enum: words }]) =>
      words === undefined ? [] : [{ field, words }],
    );
  const args = (more: string, ...options: readonly string[]) =>
    [command, '--qmp', '/no/vm.qmp', '--disk', `${disk}${more}`, ...options] as const;
  return [
    ...wordsIn(properties).map(({ field, words }) => ({
      ...{ command, words, option: `--${field}`, ask: (word: string) => args('', `--${field}`, word) },
    })),
    ...wordsIn(properties['disks']?.items?.properties ?? {}).map(({ field, words }) => ({
      ...{ command, words, option: `,${field}`, ask: (word: string) => args(`,${field}=${word}`) },
    })),
  ];
});

/** What is said to a word that there is not. */
async function said(...args: readonly string[]): Promise<string> {
  const context = fakeContext();
  expect(await runProgram(args, context)).toBe(2);
  return context.err.join('\n');
}

test.each(choices)('$command $option has the words of the API', async ({ words, ask }) => {
  expect(await said(...ask('other'))).toMatch(
    new RegExp(`"other": this must be one of ${words.join(', ')}(?:\\s|$)`),
  );
});

test('what has words in the API has them on the command line', () => {
  expect(choices.length).toBeGreaterThan(10);
});

test.each([
  ['sagas', '--state', STANDINGS],
  ['fuzz', '--profile', PROFILE_NAMES],
  ['sim --listen /no/sim', '--profile', PROFILE_NAMES],
])('%s %s has the words of the API', async (command, option, words) => {
  expect(await said(...command.split(' '), option, 'other')).toContain(`one of ${words.join(', ')}`);
});

describe('blocksaga sagas --state waiting', () => {
  test('lists what engine.sagas lists by it, and is open too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bs-waiting-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'journal.db');
    const journal = openJournal(file);
    const sim = smallSim({ clock: realTimeClock });
    const engine = createEngine({ journal });
    const guest = { qmp: sim.connect, files: sim.files };
    const disks = [{ disk: 'dev0', to: '/images/new0.qcow2' }];
    const first = await engine.copy({ ...guest, id: 'ended', vm: 'a', disks });
    await first.result;
    const saga = await engine.copy({
      ...{ ...guest, id: 'waits', vm: 'b', finish: 'leave' },
      disks: [{ disk: 'dev0', to: '/images/new1.qcow2' }],
    });
    await saga.until('ready');
    journal.begin({
      ...{ id: 'works', vm: 'c', operation: 'copy', planVersion: 4, address: '', request: null },
      plan: saga.plan as never,
    });
    const listed = async (state: string) => {
      const context = fakeContext();
      expect(await runProgram(['sagas', '--journal', file, '--state', state, '--json'], context)).toBe(0);
      return context.out.map(line => (JSON.parse(line) as { id: string }).id);
    };
    for (const state of STANDINGS)
      expect(await listed(state), state).toEqual(engine.sagas({ state }).sagas.map(({ id }) => id));
    expect(await listed('waiting')).toEqual(['waits']);
    expect(await listed('open')).toEqual(['works', 'waits']);
    await saga.abort();
    expect(await listed('waiting')).toEqual([]);
    const lease = journal.takeOver('works', { force: true });
    await journal.end(lease, 'rolledBack', null);
    await journal.close();
  });
});
