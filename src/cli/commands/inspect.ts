/** `blocksaga inspect`: a page on this machine that shows live and past sagas. It starts none, and resumes those that it is asked to. */
import type { Command } from 'commander';
import type { InspectionEvent } from 'xstate';
import { BlocksagaError } from '../../errors.ts';
import { readReplay } from '../../fuzz/replay-file.ts';
import { type InspectServer, type Lab, serveInspect } from '../../inspect/server.ts';
import { chartEventOf } from '../../inspect/tell-chart-event.ts';
import { systemProcesses } from '../../journal/holder.ts';
import type { Journal } from '../../journal/journal.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../../lab/choice.ts';
import { LiveRuns } from '../../lab/live-runs.ts';
import { runLab } from '../../lab/run-lab.ts';
import { showCopy } from '../../lab/shown-copy.ts';
import type { Clock } from '../../qmp/clock.ts';
import { fleetAt } from '../fleet/ask.ts';
import { sightOf } from '../fleet/sight.ts';
import { readBetween } from '../options/option-values.ts';
import { addJournalsOption } from '../options/shared-options.ts';
import { readJournals } from '../options/shown-journals.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { type ShownHere, showHere } from '../saga/shown-here.ts';
import { closeJournal } from '../saga/with-journal.ts';

const HELP = `
Examples:
  $ blocksaga inspect
  $ blocksaga inspect --sim
  $ blocksaga inspect --xstate
  $ blocksaga inspect --trace /var/lib/blocksaga/wire.ndjson
  $ blocksaga inspect --qmp /run/vm.page.qmp
  $ blocksaga inspect --fleet http://127.0.0.1:8080
  $ blocksaga inspect --journal /var/lib/blocksaga/journal.db --port 8070
  $ blocksaga inspect --journal /srv/web/journal.db,name=web --journal /srv/mail/journal.db,name=mail,qmp=/run/mail.page.qmp

Open the printed address in a browser of this machine; Ctrl-C ends it. The address has a secret in it: anyone who knows
it can see all sagas of the journal, ask those that run to switch or to go back, and have those resumed here whose
process has ended: this process is theirs then, and Ctrl-C waits for them. Nothing is fetched from elsewhere.

A monitor serves one client at a time: give the page one that blocksaga does not use, by starting QEMU with a further
-qmp. Without one it shows what the journal knows, which has no progress in bytes.

Several journals are one list, in which each saga says which journal it is of, and each button asks through that one. Of
each can be said, behind its file: name=NAME (default: its file's), qmp=ADDRESS and trace=FILE, as --qmp and --trace of
a single one.

A fleet: --fleet has the ingress of its Restate. The page then shows its hosts, their guests and what is under way
there, beside the sagas of this journal. It asks the fleet while a page is open, and changes nothing there: that is
"blocksaga fleet".

Charts: the page draws any XState chart that an inspector sends it, lit by its inspection events alone: from "blocksaga
copy ... --inspect ADDRESS" with the address that is printed for inspectors, from a program of yours by
createWebSocketInspector({ url }) of @statelyai/inspect. --xstate also copies a simulated guest, so that there is one to
see, and prints the address of a page with Stately's own inspector in it: that one is loaded from stately.ai, by a
browser that must be online.

On another machine: ssh -L 8070:127.0.0.1:8070 HOST, with --port 8070.`;

interface InspectOptions {
  readonly journal?: readonly string[];
  readonly port?: number;
  readonly qmp?: string;
  readonly sim?: boolean;
  readonly xstate?: boolean;
  readonly trace?: string;
  readonly replay?: string;
  readonly fleet?: string;
}

export function defineInspect(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('inspect')
    .summary('show live and past sagas on a page')
    .description('Serves a page on this machine that shows the sagas of the journal, live and past.')
    .option('--sim', 'a laboratory: sagas on simulated guests, and faults to drop on them')
    .option(
      '--xstate',
      "XState's inspector: the charts of a copy on a simulated guest, here and on Stately's page",
    )
    .option('--trace <file>', 'what went over the monitors of sagas, as their --trace keeps it')
    .option('--replay <file>', 'with --sim: a finding of "blocksaga fuzz", to look at')
    .option('--fleet <url>', "the ingress of a fleet's Restate: its hosts and guests, too")
    .option('--qmp <address>', 'a monitor of its own, to see how far block jobs are')
    .option(
      '--port <port>',
      'on which port of 127.0.0.1 (default: one that is free)',
      readBetween('--port', 0, 65_535),
    )
    .addHelpText('after', HELP);
  addJournalsOption(command).action(async (options: InspectOptions) => {
    if (options.replay !== undefined && !options.sim) {
      throw new BlocksagaError('REQUEST_INVALID', '--replay goes with --sim');
    }
    if (options.xstate && options.sim) {
      throw new BlocksagaError('REQUEST_INVALID', '--xstate and --sim are two pages: one of them');
    }
    if (options.fleet !== undefined && (options.sim || options.xstate)) {
      throw new BlocksagaError('REQUEST_INVALID', '--fleet goes with the sagas of a journal');
    }
    const journals =
      options.sim || options.xstate
        ? []
        : readJournals(options.journal, command.getOptionValueSource('journal') === 'cli', options, context);
    await using opened = new AsyncDisposableStack();
    const here = journals.map(asked => {
      const one = showHere(asked, context);
      opened.defer(() => closeJournal(one.shown.journal, context));
      return one;
    });
    await serve(here, options, context);
    finished(EXIT.done);
  });
}

/** Until it is interrupted, and the sagas that were resumed here have ended. */
async function serve(
  here: readonly ShownHere[],
  options: InspectOptions,
  context: CliContext,
): Promise<void> {
  const { clock } = context;
  const simulated = memoryJournal();
  const [first = { journal: simulated }, ...beside] = here.map(({ shown }) => shown);
  const server = await serveInspect({
    ...{ ...first, beside, processes: systemProcesses(), clock },
    ...(options.xstate ? { stately: true } : {}),
    ...(options.sim ? { lab: await laboratory(options.replay, clock) } : {}),
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.fleet === undefined ? {} : { fleet: sightOf(fleetAt(options.fleet, { option: '--fleet' })) }),
  });
  const interrupted = Promise.withResolvers<void>();
  const letGo = new AbortController();
  let interrupts = 0;
  const stopListening = context.onInterrupt(() => {
    interrupts += 1;
    interrupted.resolve();
    if (interrupts > 1) letGo.abort();
  });
  const ending = new AbortController();
  let shown = Promise.resolve();
  try {
    context.write(`Open ${server.address}${options.xstate ? '#/charts' : ''}`);
    if (options.xstate) {
      context.write(`Stately's inspector, in a browser that is online: ${server.address}stately`);
    }
    if (!options.sim) context.write(`For inspectors: ${server.inspectorUrl}`);
    context.write('Ctrl-C ends it.');
    if (options.xstate) shown = tellCopy(simulated, server, context, ending.signal);
    await interrupted.promise;
  } finally {
    ending.abort();
    await shown;
    const running = here.flatMap(each => each.running());
    if (running.length > 0) {
      context.complain(
        `${running.join(', ')}: resumed here, and waited for; Ctrl-C once more lets go, and "blocksaga resume" continues`,
      );
    }
    await Promise.all(here.map(each => each.close(letGo.signal)));
    await server.close();
    stopListening();
  }
}

/** A copy that can be watched; the page stays when it has ended. Never rejects. */
async function tellCopy(
  journal: Journal,
  { charts }: InspectServer,
  { clock, write, complain }: CliContext,
  signal: AbortSignal,
): Promise<void> {
  const inspect = (event: InspectionEvent) => {
    const told = chartEventOf(event, clock.epochMs());
    if (told !== undefined) charts.add(told);
  };
  try {
    const { saga, outcome } = await showCopy(journal, inspect, signal);
    write(`saga ${saga} on the simulated guest: ${outcome}`);
  } catch (error) {
    complain(`the copy of the simulated guest could not be shown: ${String(error)}`);
  }
}

async function laboratory(replay: string | undefined, clock: Clock): Promise<Lab> {
  const first = replay === undefined ? null : await runLab(await readReplay(replay));
  const live = new LiveRuns(clock);
  return {
    offers: { profiles: PROFILES, first },
    run: choice => runLab(scenarioOf(readChoice(choice))),
    live: asked => live.ask(asked),
  };
}
