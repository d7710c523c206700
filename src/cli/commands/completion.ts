/** `blocksaga completion`: what a shell needs to complete this command line. It reads the journal for ids, and nothing else. */
import { Argument, type Command } from 'commander';
import type { SagaRow } from '../../journal/journal.ts';
import { addJournalOption, journalOf } from '../options/shared-options.ts';
import { treeOf } from '../print/command-tree.ts';
import { completionFor, SHELLS } from '../print/completion-scripts.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { readJournal } from '../saga/read-journal.ts';

const HELP = `
Examples:
  $ blocksaga completion bash >> ~/.bashrc
  $ blocksaga completion zsh > ~/.zfunc/_blocksaga
  $ blocksaga completion fish > ~/.config/fish/completions/blocksaga.fish

The scripts ask "blocksaga completion sagas" for the ids that "show", "resume", "pivot" and "abort" may be given: those
that are open or need recovery, then the newest.`;

/** More than these are not offered. */
const SAGAS_MAX = 40;
/** What a shell takes as one word, whatever it does with it. */
const PLAIN = /^[\w.-]+$/;

export function defineCompletion(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('completion')
    .summary('print the completion for a shell')
    .description('Prints the completion of this command line for a shell, or the ids of sagas for one.')
    .addArgument(new Argument('<shell>', 'which one').choices([...SHELLS, 'sagas']))
    .addHelpText('after', HELP);
  addJournalOption(command).action(async (asked: string, options: { readonly journal?: string }) => {
    const shell = SHELLS.find(each => each === asked);
    const lines =
      shell === undefined
        ? await readJournal(journalOf(options, context), context, journal => idsOf(journal.sagas()))
        : completionFor(shell, treeOf(program));
    for (const line of lines) context.write(line);
    finished(EXIT.done);
  });
}

function idsOf(rows: readonly SagaRow[]): readonly string[] {
  const needs = ({ state }: SagaRow) => (state === 'open' || state === 'needsRecovery' ? 1 : 0);
  return rows
    .filter(({ id }) => PLAIN.test(id))
    .toSorted((a, b) => needs(b) - needs(a) || b.createdAtMs - a.createdAtMs)
    .slice(0, SAGAS_MAX)
    .map(({ id }) => id);
}
