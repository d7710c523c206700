/**
 * The command line as a whole: its commands, and what becomes of errors. A `BlocksagaError` is a refusal in one line and
 * status 2; anything else is a bug and shows its stack.
 */
import { Command, CommanderError } from 'commander';
import { BlocksagaError } from '../errors.ts';
import { textInPackage } from '../package/contents.ts';
import { defineAgent } from './commands/agent.ts';
import { defineChain } from './commands/chain.ts';
import { defineCompletion } from './commands/completion.ts';
import { defineCopy } from './commands/copy.ts';
import { defineDemo } from './commands/demo.ts';
import { defineDoctor } from './commands/doctor.ts';
import { defineFleet } from './commands/fleet.ts';
import { defineFuzz } from './commands/fuzz.ts';
import { defineInspect } from './commands/inspect.ts';
import { defineJobs } from './commands/jobs.ts';
import { defineMachines } from './commands/machines.ts';
import { defineMan } from './commands/man.ts';
import { defineCommit, definePull } from './commands/merge.ts';
import { defineResume } from './commands/resume.ts';
import { defineRevert } from './commands/revert.ts';
import { defineSagas } from './commands/sagas.ts';
import { defineSetSpeed } from './commands/set-speed.ts';
import { defineShow } from './commands/show.ts';
import { defineAbort, definePivot } from './commands/signal.ts';
import { defineSim } from './commands/sim.ts';
import { defineSnapshot } from './commands/snapshot.ts';
import { aboutOf, applyDefaults, DEFAULTS_HELP, readDefaults } from './options/defaults.ts';
import type { CliContext } from './print/context.ts';
import { EXIT, type Finished } from './print/exit-status.ts';
import { refusedLine } from './print/json-lines.ts';
import { linesOf, printableContext } from './print/printable.ts';
import { reportBug } from './print/report-bug.ts';
import { refusalInWords } from './print/summary.ts';

const COMMANDS: readonly ((program: Command, context: CliContext, finished: Finished) => void)[] = [
  defineSnapshot,
  defineCopy,
  definePull,
  defineCommit,
  defineRevert,
  defineResume,
  definePivot,
  defineAbort,
  defineChain,
  defineJobs,
  defineSetSpeed,
  defineSagas,
  defineShow,
  defineInspect,
  defineDoctor,
  defineAgent,
  defineFleet,
  defineMachines,
  defineDemo,
  defineSim,
  defineFuzz,
  defineCompletion,
  defineMan,
];

const HELP = `
Examples:
  $ blocksaga snapshot --qmp /run/vm.qmp --disk disk0,overlay=/images/a.s1.qcow2 --disk disk1,overlay=/images/b.s1.qcow2
  $ blocksaga copy --qmp /run/vm.qmp --disk disk0,to=/new/a.qcow2 --disk disk1,to=/new/b.qcow2

A monitor serves one client at a time: give blocksaga one of its own, by starting QEMU with a further
-qmp unix:/run/vm.qmp,server=on,wait=off

Exit status: 0 done as asked, 1 rolled back, 2 refused before anything was touched, 3 needs recovery, 4 committed, but
files that --delete was to remove are still there, or the next boot would not find an image, 70 a bug of blocksaga: no
guest is left paused for it, and what was under way is open in the journal, for "blocksaga resume".`;

/** Runs one command line (without `node` and the script) and returns the exit status. */
export async function runProgram(args: readonly string[], given: CliContext): Promise<number> {
  const context = printableContext(given);
  let status: number = EXIT.done;
  const program = buildProgram(context, value => {
    status = value;
  });
  withDefaults(program, args, context);
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    const typo = isMissing(error) ? await typoIn(args, context) : undefined;
    return report(typo ?? error, nameOf(program, args), args, context);
  }
}

/** What is set for all commands reaches the one that is asked for, before its own options are read. */
function withDefaults(program: Command, args: readonly string[], context: CliContext): void {
  program.hook('preSubcommand', (_program, command) => {
    const given = beforeEnd(args);
    if (given.includes('--help') || given.includes('-h')) return; // there, settings that cannot be read are no matter
    const { config } = program.opts<{ config?: string }>();
    applyDefaults(command, readDefaults(config, context), aboutOf(given));
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof CommanderError && error.code === 'commander.missingMandatoryOptionValue';
}

/** An option that does not exist, where one that must be there is missing: it may well be that one, with a typo. */
async function typoIn(args: readonly string[], context: CliContext): Promise<CommanderError | undefined> {
  const program = buildProgram(context, () => undefined);
  for (const command of program.commands) {
    for (const option of command.options) option.mandatory = false;
    command.action(() => undefined); // it is only looked at
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.code === 'commander.unknownOption') return error;
  }
  return undefined;
}

function buildProgram(context: CliContext, finished: Finished): Command {
  const program = new Command('blocksaga')
    .description('Changes the disks of a running QEMU guest as one unit: all of them, or none.')
    .version(version(), '--version')
    .configureOutput({
      writeOut: text => writeAll(linesOf(text), context.write),
      writeErr: text => writeAll(linesOf(text), context.complain),
      outputError: () => undefined, // reported below, with all other refusals
    })
    .option('--config <file>', 'a file of settings, see below')
    .exitOverride()
    .addHelpText('after', `${HELP}\n${DEFAULTS_HELP}`);
  for (const define of COMMANDS) define(program, context, finished);
  return program;
}

function report(
  error: unknown,
  command: string | null,
  args: readonly string[],
  context: CliContext,
): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done; // --help, --version
  if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.refused; // nothing was asked
  const refusal =
    error instanceof CommanderError
      ? new BlocksagaError(
          'REQUEST_INVALID',
          `${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}${seeHelp(command)}`,
        )
      : error;
  if (!(refusal instanceof BlocksagaError)) {
    reportBug(refusal, context);
    return EXIT.bug;
  }
  if (wantsJson(args)) context.write(refusedLine(command, refusal.toJSON()));
  else writeAll(refusalInWords(command, refusal.toJSON()), context.complain);
  return EXIT.refused;
}

function writeAll(lines: readonly string[], write: (line: string) => void): void {
  for (const line of lines) write(line);
}

/** Behind the options that all commands have. */
function nameOf(program: Command, args: readonly string[]): string | null {
  const first = args[0] === '--config' ? args[2] : args[0]?.startsWith('--config=') ? args[1] : args[0];
  return program.commands.some(command => command.name() === first) ? (first ?? null) : null;
}

function wantsJson(args: readonly string[]): boolean {
  return beforeEnd(args).includes('--json');
}

function beforeEnd(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end === -1 ? args : args.slice(0, end);
}

function seeHelp(command: string | null): string {
  return `; see blocksaga ${command === null ? '' : `${command} `}--help`;
}

function version(): string {
  return (JSON.parse(textInPackage('package.json')) as { version: string }).version;
}
