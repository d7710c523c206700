/** What is set for all commands: by the environment and by a file of settings, behind the command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

async function run(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const context = fakeContext({
    env: { XDG_STATE_HOME: '/no/state', XDG_CONFIG_HOME: '/no/config', ...env },
  });
  const status = await runProgram(args, context);
  return { status, text: [...context.out, ...context.err].join('\n') };
}

function settings(content: unknown): { readonly folder: string; readonly file: string } {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'blocksaga'));
  const file = join(folder, 'blocksaga', 'config.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return { folder, file };
}

test('BLOCKSAGA_JOURNAL and BLOCKSAGA_QMP stand for their options, which come first', async () => {
  expect((await run({ BLOCKSAGA_JOURNAL: '/by/environment.db' }, 'sagas')).text).toContain(
    '/by/environment.db',
  );
  expect(
    (await run({ BLOCKSAGA_JOURNAL: '/by/environment.db' }, 'sagas', '--journal', '/by/hand.db')).text,
  ).toContain('/by/hand.db');
  expect((await run({ BLOCKSAGA_QMP: '/by/environment.qmp' }, 'chain')).text).toContain(
    '/by/environment.qmp',
  );
  expect((await run({ BLOCKSAGA_QMP: '' }, 'chain')).text).toContain("'--qmp <address>' not specified");
});

test('a guest of the environment is not taken where the journal knows it, nor for work without a guest', async () => {
  const env = { BLOCKSAGA_QMP: '/by/environment.qmp' };
  expect((await run(env, 'resume', 'x')).text).not.toContain('environment.qmp');
  const offline = await run(env, 'commit', '--offline', '--disk', '/no/image.qcow2', '--plan');
  expect(offline.text).not.toMatch(/--qmp|environment\.qmp/);
});

test('a file of settings is behind the environment; its paths count from its folder', async () => {
  const { folder, file } = settings({ journal: 'here.db', qmp: 'guest.qmp', parallel: 3, bandwidth: '1M' });
  const env = { XDG_CONFIG_HOME: folder };
  expect((await run(env, 'sagas')).text).toContain(join(folder, 'blocksaga', 'here.db'));
  expect((await run({ ...env, BLOCKSAGA_JOURNAL: '/by/environment.db' }, 'sagas')).text).toContain(
    '/by/environment.db',
  );
  expect((await run(env, 'chain')).text).toContain(join(folder, 'blocksaga', 'guest.qmp'));
  expect((await run({}, '--config', file, 'sagas')).text).toContain('here.db');
  expect((await run({}, 'sagas', '--config', file)).text).toContain('here.db');
  expect((await run({ BLOCKSAGA_CONFIG: file }, 'sagas')).text).toContain('here.db');
});

test.each([
  ['what it does not know', { journl: '/x' }, /settings in .*config\.json cannot be used: .*journl/],
  ['an option of one request', { id: 'x' }, /id/],
  ['no JSON', '{', /it is no JSON/],
  ['a value that its option refuses', { parallel: 'many' }, /--parallel "many": this must be a whole number/],
])('a file with %s is refused in one line', async (_what, content, words) => {
  const { file } = settings(content);
  const { status, text } = await run({}, '--config', file, 'copy', '--qmp', '/x', '--disk', 'a,to=/b');
  expect(status).toBe(2);
  expect(text).toMatch(words);
  expect(text.split('\n')).toHaveLength(1);
  expect((await run({}, '--config', file, 'copy', '--help')).status).toBe(0);
});

test('a file that was named must be there, the usual one need not', async () => {
  expect(await run({}, '--config', '/no/such.json', 'sagas')).toMatchObject({
    status: 2,
    text: expect.stringContaining('/no/such.json'),
  });
  expect((await run({}, 'sagas')).status).toBe(0);
});

test('an option with a typo is named before one that is missing', async () => {
  expect((await run({}, 'copy', '--dsk', 'a,to=/b', '--qmp', '/x')).text).toMatch(
    /unknown option '--dsk' \(Did you mean --disk\?\)/,
  );
  expect((await run({}, 'copy', '--qpm', '/x', '--disk', 'a,to=/b')).text).toMatch(/'--qpm'.*--qmp/);
  expect((await run({}, 'copy', '--disk', 'a,to=/b')).text).toContain("'--qmp <address>' not specified");
});
