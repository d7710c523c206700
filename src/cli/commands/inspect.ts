/** `blocksaga inspect`: a page on this machine that shows live and past sagas. It starts none. */
import type { Command } from 'commander';
import { BlocksagaError } from '../../errors.ts';
import { readReplay } from '../../fuzz/replay-file.ts';
import { type Lab, serveInspect } from '../../inspect/server.ts';
import { systemProcesses } from '../../journal/holder.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../../lab/choice.ts';
import { runLab } from '../../lab/run-lab.ts';
import { connectSocket } from '../../qmp/socket.ts';
import { readBetween, socketAddress } from '../options/option-values.ts';
import { addJournalOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { withJournal } from '../saga/with-journal.ts';

const HELP = `
Examples:
  $ blocksaga inspect
  $ blocksaga inspect --sim
  $ blocksaga inspect --qmp /run/vm.page.qmp
  $ blocksaga inspect --journal /var/lib/blocksaga/journal.db --port 8070

Open the printed address in a browser of this machine; Ctrl-C ends it. The address has a secret in it: anyone who knows it can see all
sagas of the journal, and ask those that run to switch or to go back. Nothing is fetched from elsewhere.

A monitor serves one client at a time: give the page one that blocksaga does not use, by starting QEMU with a further -qmp. Without
one it shows what the journal knows, which has no progress in bytes.

On another machine: ssh -L 8070:127.0.0.1:8070 HOST, with --port 8070.`;

interface InspectOptions {
  readonly journal?: string;
  readonly port?: number;
  readonly qmp?: string;
  readonly sim?: boolean;
  readonly replay?: string;
}

export function defineInspect(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('inspect')
    .summary('show live and past sagas on a page')
    .description('Serves a page on this machine that shows the sagas of the journal, live and past.')
    .option('--sim', 'a laboratory: sagas on simulated guests, and faults to drop on them')
    .option('--replay <file>', 'with --sim: a finding of "blocksaga fuzz", to look at')
    .option('--qmp <address>', 'a monitor of its own, to see how far block jobs are')
    .option(
      '--port <port>',
      'on which port of 127.0.0.1 (default: one that is free)',
      readBetween('--port', 0, 65_535),
    )
    .addHelpText('after', HELP);
  addJournalOption(command).action(async (options: InspectOptions) => {
    if (options.replay !== undefined && !options.sim) {
      throw new BlocksagaError('REQUEST_INVALID', '--replay goes with --sim');
    }
    await withJournal(
      options.sim ? memoryJournal() : openExistingJournal(journalOf(options, context)),
      context,
      async journal => {
        const server = await serveInspect({
          ...{ journal, processes: systemProcesses(), clock: context.clock },
          ...(options.qmp === undefined
            ? {}
            : { connect: connectSocket(socketAddress(options.qmp, context), { clock: context.clock }) }),
          ...(options.sim ? { lab: await laboratory(options.replay) } : {}),
          ...(options.port === undefined ? {} : { port: options.port }),
        });
        const interrupted = Promise.withResolvers<void>();
        const stopListening = context.onInterrupt(interrupted.resolve);
        try {
          context.write(`Open ${server.address}`);
          context.write('Ctrl-C ends it.');
          await interrupted.promise;
        } finally {
          stopListening();
          await server.close();
        }
      },
    );
    finished(EXIT.done);
  });
}

async function laboratory(replay: string | undefined): Promise<Lab> {
  const first = replay === undefined ? null : await runLab(await readReplay(replay));
  return {
    offers: { profiles: PROFILES, first },
    run: choice => runLab(scenarioOf(readChoice(choice))),
  };
}
