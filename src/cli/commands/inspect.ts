/** `blocksaga inspect`: a page on this machine that shows live and past sagas. It starts none, and resumes those that it is asked to. */
import type { Command } from 'commander';
import type { InspectionEvent } from 'xstate';
import { openTraceFile } from '../../engine/connection/trace-file.ts';
import { watchWire } from '../../engine/connection/wire-on-request.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { readReplay } from '../../fuzz/replay-file.ts';
import { ResumeHere } from '../../inspect/resume-here.ts';
import { type InspectServer, type Lab, serveInspect } from '../../inspect/server.ts';
import { chartEventOf } from '../../inspect/tell-chart-event.ts';
import { systemProcesses } from '../../journal/holder.ts';
import type { Journal } from '../../journal/journal.ts';
import { isJournalThere } from '../../journal/look-for-file.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../../lab/choice.ts';
import { LiveRuns } from '../../lab/live-runs.ts';
import { runLab } from '../../lab/run-lab.ts';
import { showCopy } from '../../lab/shown-copy.ts';
import type { Clock } from '../../qmp/clock.ts';
import { connectSocket } from '../../qmp/socket.ts';
import { absoluteFile, readBetween, socketAddress } from '../options/option-values.ts';
import { addJournalOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { withJournal } from '../saga/with-journal.ts';

const HELP = `
Examples:
  $ blocksaga inspect
  $ blocksaga inspect --sim
  $ blocksaga inspect --xstate
  $ blocksaga inspect --trace /var/lib/blocksaga/wire.ndjson
  $ blocksaga inspect --qmp /run/vm.page.qmp
  $ blocksaga inspect --journal /var/lib/blocksaga/journal.db --port 8070

Open the printed address in a browser of this machine; Ctrl-C ends it. The address has a secret in it: anyone who knows it can see all
sagas of the journal, ask those that run to switch or to go back, and have those resumed here whose process has ended: this process is
theirs then, and Ctrl-C waits for them. Nothing is fetched from elsewhere.

A monitor serves one client at a time: give the page one that blocksaga does not use, by starting QEMU with a further -qmp. Without
one it shows what the journal knows, which has no progress in bytes.

Charts: the page draws any XState chart that an inspector sends it, lit by its inspection events alone: from "blocksaga copy ...
--inspect ADDRESS" with the address that is printed for inspectors, from a program of yours by createWebSocketInspector({ url }) of
@statelyai/inspect. --xstate also copies a simulated guest, so that there is one to see, and prints the address of a page with
Stately's own inspector in it: that one is loaded from stately.ai, by a browser that must be online.

On another machine: ssh -L 8070:127.0.0.1:8070 HOST, with --port 8070.`;

interface InspectOptions {
  readonly journal?: string;
  readonly port?: number;
  readonly qmp?: string;
  readonly sim?: boolean;
  readonly xstate?: boolean;
  readonly trace?: string;
  readonly replay?: string;
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
    if (options.xstate && options.sim) {
      throw new BlocksagaError('REQUEST_INVALID', '--xstate and --sim are two pages: one of them');
    }
    await withJournal(
      options.sim || options.xstate ? memoryJournal() : openExistingJournal(journalOf(options, context)),
      context,
      async journal => {
        const { clock } = context;
        const file = journalOf(options, context);
        const lost = (why: string) => context.complain(`the wire is not shown: ${why}`);
        const isOwn = options.sim || options.xstate || options.trace !== undefined || !isJournalThere(file);
        const watched = isOwn ? undefined : watchWire(file, { clock, onLost: lost });
        const trace = options.trace === undefined ? watched?.wire : absoluteFile(options.trace, context);
        const wire = trace === undefined ? undefined : openTraceFile(trace, { clock, onLost: lost });
        const here = new ResumeHere({
          ...{ journal, clock, ...definedOnly({ trace: wire?.trace }) },
          ended: (saga, how) => context.write(`saga ${saga}, resumed here: ${how}`),
        });
        const server = await serveInspect({
          ...{ journal, processes: systemProcesses(), clock: context.clock },
          ...(options.qmp === undefined
            ? {}
            : { connect: connectSocket(socketAddress(options.qmp, context), { clock: context.clock }) }),
          ...definedOnly({ trace }),
          ...(options.xstate ? { stately: true } : {}),
          ...(options.sim || options.xstate ? {} : { resume: (saga, how) => here.resume(saga, how) }),
          ...(options.sim ? { lab: await laboratory(options.replay, context.clock) } : {}),
          ...(options.port === undefined ? {} : { port: options.port }),
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
          if (options.xstate) shown = tellCopy(journal, server, context, ending.signal);
          await interrupted.promise;
        } finally {
          ending.abort();
          await shown;
          if (here.running.length > 0) {
            const ids = here.running.join(', ');
            context.complain(
              `${ids}: resumed here, and waited for; Ctrl-C once more lets go, and "blocksaga resume" continues`,
            );
          }
          await here.close(letGo.signal);
          await wire?.close();
          await watched?.close();
          await server.close();
          stopListening();
        }
      },
    );
    finished(EXIT.done);
  });
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
