/** `blocksaga man`: the manual page, made from the help of all commands. */
import type { Command } from 'commander';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { manPage } from '../print/man-page.ts';

const HELP = `
Examples:
  $ blocksaga man | man -l -
  $ blocksaga man > /usr/local/share/man/man1/blocksaga.1`;

export function defineMan(program: Command, context: CliContext, finished: Finished): void {
  program
    .command('man')
    .summary('print the manual page')
    .description('Prints the manual page, made from the help of all commands.')
    .addHelpText('after', HELP)
    .action(() => {
      for (const line of manPage(program, program.version() ?? '')) context.write(line);
      finished(EXIT.done);
    });
}
