/** `blocksaga demo`: the entry of the demonstration on a real guest; the story itself is in `src/demo`. */
import type { Command } from 'commander';
import { runDemo } from '../../demo/scenario.ts';
import { addJsonOption } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import type { Finished } from '../print/exit-status.ts';

const HELP = `
Examples:
  $ blocksaga demo
  $ blocksaga demo --qemu /opt/qemu-10/bin/qemu-system-x86_64 --json

Exit status: 0 when every check holds, 1 when one does not.`;

interface DemoOptions {
  readonly qemu?: string;
  readonly json?: boolean;
}

export function defineDemo(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('demo')
    .summary('show on a guest of its own what is promised')
    .description(
      'Starts a guest in QEMU, changes its disks while it writes, and checks that all promises hold.',
    )
    .option('--qemu <program>', 'the QEMU to start (default: $QEMU_BINARY, else qemu-system-x86_64)')
    .addHelpText('after', HELP);
  addJsonOption(command, 'newline-delimited JSON instead of a story').action(
    async ({ qemu, json }: DemoOptions) => {
      finished(
        await runDemo({ json: json === true, write: context.write, ...(qemu === undefined ? {} : { qemu }) }),
      );
    },
  );
}
