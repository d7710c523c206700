/** Completion in real shells where they are installed, and the manual page by the programs that read such pages. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { openJournal } from '../../src/journal/sqlite.ts';
import { fakeContext } from './fake-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocksaga-'));
const journal = join(folder, 'journal.db');

async function run(...args: readonly string[]): Promise<string> {
  const context = fakeContext({ env: { XDG_CONFIG_HOME: '/no/config', BLOCKSAGA_JOURNAL: journal } });
  expect(await runProgram(args, context)).toBe(0);
  return context.out.join('\n');
}

beforeAll(async () => {
  const opened = openJournal(journal);
  for (const id of ['night-1', 'night-2', '$(touch hurt)']) opened.begin({ ...SAGA, id, vm: id });
  await opened.close();
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(join(folder, `completion.${shell}`), await run('completion', shell));
  // The command as the scripts call it, answering what this process would.
  mkdirSync(join(folder, 'bin'));
  writeFileSync(
    join(folder, 'bin', 'blocksaga'),
    `#!/bin/sh\ncat <<'END'\n${await run('completion', 'sagas')}\nEND\n`,
    { mode: 0o755 },
  );
});

afterAll(() => rmSync(folder, { recursive: true }));

const SAGA = { operation: 'copy', planVersion: 4, address: '', request: null, plan: null } as const;

function has(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined;
}

function inShell(shell: string, ...args: readonly string[]): string {
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, HOME: folder, TERM: 'dumb' };
  return execFileSync(shell, args, { encoding: 'utf8', cwd: folder, env });
}

function bash(...words: readonly string[]): readonly string[] {
  const script = `source completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _blocksaga; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return inShell('bash', '-c', script, 'bash', ...words)
    .trim()
    .split('\n');
}

test('ids that a shell would read as anything but a word are not offered', async () => {
  expect((await run('completion', 'sagas')).split('\n').toSorted()).toEqual(['night-1', 'night-2']);
});

test('bash completes commands, options, their words, and the ids of sagas', () => {
  expect(bash('blocksaga', 'sn')).toEqual(['snapshot']);
  expect(bash('blocksaga', 'copy', '--fin')).toEqual(['--finish']);
  expect(bash('blocksaga', 'copy', '--finish', '')).toEqual(['pivot', 'clone', 'abort', 'leave']);
  expect(bash('blocksaga', '--config', 'x.json', 'copy', '--sync')).toEqual(['--sync-writes']);
  // As bash hands it over where a value stands behind "=".
  expect(bash('blocksaga', 'copy', '--finish', '=')).toEqual(['pivot', 'clone', 'abort', 'leave']);
  expect(bash('blocksaga', 'copy', '--finish', '=', 'cl')).toEqual(['clone']);
  expect(bash('blocksaga', '--config', '=', 'x.json', 'copy', '--sync')).toEqual(['--sync-writes']);
  expect(bash('blocksaga', 'show', 'night-').toSorted()).toEqual(['night-1', 'night-2']);
  expect(bash('blocksaga', 'completion', '')).toEqual(['bash', 'zsh', 'fish', 'sagas']);
  expect(bash('blocksaga', 'sagas', '--journal', 'jour').toSorted()).toEqual([
    'journal.db',
    'journal.db.generation',
  ]);
});

test('bash completes every option of every command to itself', () => {
  const script = `source completion.bash
    of() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _blocksaga; printf '%s\\n' "\${COMPREPLY[@]}"; }
    for command in $(of blocksaga ''); do
      for option in $(of blocksaga $command --); do echo "$command $option $(of blocksaga $command $option | grep -x -- $option)"; done
    done`;
  const lines = inShell('bash', '-c', script).trim().split('\n');
  expect(lines.length).toBeGreaterThan(200);
  expect(lines.filter(line => !/^[\w-]+ (--[\w-]+) \1$/.test(line))).toEqual([]);
});

test.runIf(has('fish'))('fish completes commands, options, their words, and the ids of sagas', () => {
  const complete = (line: string) =>
    inShell('fish', '-N', '-c', `source completion.fish; complete -C ${JSON.stringify(line)}`);
  expect(complete('blocksaga snap')).toMatch(/^snapshot\tput/m);
  expect(complete('blocksaga copy --fin')).toMatch(/^--finish\t/m);
  expect(complete('blocksaga copy --finish ')).toMatch(/^clone/m);
  expect(complete('blocksaga copy --finish=cl')).toMatch(/^--finish=clone/m);
  expect(complete('blocksaga show ')).toMatch(/^night-1$/m);
});

test.runIf(has('zsh'))('zsh takes its script, and knows its function for the command', () => {
  const script =
    'autoload -Uz compinit && compinit -u -D; source ./completion.zsh; print -r -- $_comps[blocksaga]';
  expect(inShell('zsh', '-f', '-c', script).trim()).toBe('_blocksaga');
  for (const shell of ['zsh', 'bash']) inShell(shell, '-n', `completion.${shell}`);
});

/** An interactive zsh on a terminal of its own, in which Tab is pressed; each word that it is offered is a line between two marks. */
const ZSH_PLAYED = `
  autoload -Uz compinit; compinit -u -D; source ./completion.zsh
  bindkey '^I' complete-word
  mark() { print -n '\\0' }
  compprefuncs=(mark) comppostfuncs=(mark)
  compadd() {
    if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits; builtin compadd -A hits "$@"; print -l -- $hits; builtin compadd "$@"
  }
  print READY`;
const ZSH_PLAYS = `
  zmodload zsh/zpty; zpty z zsh -f -i
  zpty -w z 'PROMPT=; source ./played.zsh'; zpty -r -m z line '*READY*'
  zpty -w -n z "$1"$'\\t'; zpty -r -m z said $'*\\0*\\0*'
  print -r -- "\${\${said#*$'\\0'}%%$'\\0'*}"; zpty -d z`;

function zsh(line: string): readonly string[] {
  writeFileSync(join(folder, 'played.zsh'), ZSH_PLAYED);
  const offered = inShell('zsh', '-f', '-c', ZSH_PLAYS, 'zsh', line);
  return offered.split(/\s+/).filter(word => word !== '');
}

test.runIf(has('zsh'))('zsh completes commands, options, their words, and the ids of sagas', () => {
  expect(zsh('blocksaga snap')).toEqual(['snapshot']);
  expect(zsh('blocksaga copy --fin')).toEqual(['--finish']);
  for (const before of ['--finish=', '--finish ', '--sync-writes --finish '])
    expect(zsh(`blocksaga copy ${before}`), before).toEqual(['pivot', 'clone', 'abort', 'leave']);
  expect(zsh('blocksaga copy --finish=cl')).toEqual(['clone']);
  expect(zsh('blocksaga --config x.json copy --sync')).toEqual(['--sync-writes']);
  expect(zsh('blocksaga show night-').toSorted()).toEqual(['night-1', 'night-2']);
  expect(zsh('blocksaga completion ')).toEqual(['bash', 'zsh', 'fish', 'sagas']);
});

test('the manual page has every command, each option and each example of the help', async () => {
  const page = await run('man');
  expect(page.split('\n')[0]).toMatch(/^\.TH BLOCKSAGA 1/);
  for (const name of ['copy', 'resume', 'inspect']) expect(page).toContain(`.SS blocksaga ${name} `);
  const help = await run('copy', '--help');
  const plain = page.replaceAll('\\-', '-').replaceAll('\\e', '\\').replaceAll('\\&', '');
  for (const [line] of help.matchAll(/^ {2}\$ .*$/gm)) expect(plain).toContain(line);
  for (const [, flag] of help.matchAll(/^ {2}(--[\w-]+)/gm)) expect(plain).toContain(`.B ${flag}`);
});

test.runIf(has('groff'))('a reader of manual pages has nothing to complain of', async () => {
  const { stderr, stdout } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-rLL=200n'], {
    input: await run('man'),
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toContain('BLOCKSAGA(1)');
});
