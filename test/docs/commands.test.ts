/** Command lines that pages show: each names a command and options that there are. What they do is run elsewhere (see the tables of docs/operations.md). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { ROOT } from './programs.ts';

const PAGES = [
  ...['README.md', 'CONTRIBUTING.md', 'fleet/README.md'],
  ...readdirSync(join(ROOT, 'docs')).flatMap(name => (name.endsWith('.md') ? [`docs/${name}`] : [])),
];

/** Those in fenced blocks and in code spans, with the lines that a backslash continues and without comments. */
function linesOf(markdown: string): readonly string[] {
  const whole = markdown.replaceAll(/\\\n\s*/g, ' ');
  const fenced = [...whole.matchAll(/^```(?:sh)?\n(.*?)^```/gms)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  const spans = [...whole.matchAll(/`(blocksaga [a-z][^`]*)`/g)].map(([, line = '']) => line);
  const commands = [...fenced, ...spans].flatMap(line =>
    [...line.matchAll(/(?:^|[\s$(])(?:npx )?blocksaga ([a-z][^#|;)]*)/g)].map(([, rest = '']) => rest),
  );
  return commands.map(line => line.replaceAll(/'[^']*'|"[^"]*"/g, 'X'));
}

const helps = new Map<string, string>();
async function helpOf(command: string): Promise<string> {
  const context = fakeContext();
  await runProgram([command, '--help'], context);
  return context.out.join('\n');
}

test.each(PAGES)('%s shows commands and options that there are', async page => {
  const wrong: string[] = [];
  for (const line of linesOf(readFileSync(join(ROOT, page), 'utf8'))) {
    const [command = ''] = line.split(' ');
    const help = helps.get(command) ?? (await helpOf(command));
    helps.set(command, help);
    const options = [...line.matchAll(/(?:^|\s)(--[a-z][a-z-]*)/g)].map(([, option = '']) => option);
    if (command !== 'help' && !help.startsWith(`Usage: blocksaga ${command}`))
      wrong.push(`there is no ${command}: ${line}`);
    for (const option of options)
      if (!new RegExp(`(?:^|\\s)${option}(?![\\w-])`, 'm').test(help)) wrong.push(`${option}: ${line}`);
  }
  expect(wrong).toEqual([]);
});

test('command lines are found wherever they stand', () => {
  const page =
    'So `blocksaga pivot ID`:\n\n```sh\nnpx blocksaga copy \\\n  --disk a # --none\nx=$(blocksaga show A --json)\n```\n';
  expect(linesOf(page).map(line => line.trim())).toEqual(['copy  --disk a', 'show A --json', 'pivot ID']);
});
