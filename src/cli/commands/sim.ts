/** `blocksaga sim`: a simulated QEMU behind a UNIX socket, for whatever speaks QMP. What it says is up to `src/sim`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { Fault } from '../../sim/monitor/faults.ts';
import { type ServeOptions, type Server, serveSim } from '../../sim/serve.ts';
import { PROFILE_NAMES, type ProfileName } from '../../sim/state/profiles.ts';
import { absoluteFile, collect, ifGiven, readChoice, readCount } from '../options/option-values.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';

const HELP = `
It starts with nodes disk0, disk1, ... (qcow2, 64 MiB, empty) over disk0-file, ..., on devices dev0, dev1, ..., and with a
guest that runs. Image files exist only inside it, in the directory of --dir. Ctrl-C, or "quit", ends it.

Examples:
  $ blocksaga sim --listen /tmp/sim.qmp --disks 3
  $ blocksaga sim --listen /tmp/web.qmp --name web
  $ blocksaga sim --listen /tmp/old.qmp --disks 1 --profile 5.2 --dir /var/lib/images
  $ blocksaga sim --listen /tmp/sim.qmp --disks 2 --fault '{"kind":"jobFails","nth":2,"percent":50}'
  $ blocksaga sim --listen /tmp/sim.qmp --disks 2 --fault '{"kind":"refuse","command":"transaction","desc":"no"}'`;

export interface SimCommandOptions {
  readonly listen: string;
  readonly name?: string;
  readonly disks?: number;
  readonly profile?: ProfileName;
  readonly dir?: string;
  readonly fault?: readonly string[];
  readonly seed?: number;
}

export function defineSim(program: Command, context: CliContext, finished: Finished): void {
  program
    .command('sim')
    .summary('serve a simulated QEMU on a socket')
    .description('Serves a simulated QEMU with disks and a running guest on a UNIX socket, in real time.')
    .requiredOption('--listen <socket>', 'the UNIX socket to make')
    .option('--name <name>', "the guest's name, by which the journal knows its VM (default: sim)")
    .option('--disks <count>', 'guest disks (default: 3)', readCount('--disks'))
    .option(
      '--profile <version>',
      `the version of QEMU: ${PROFILE_NAMES.join(', ')} (default: 7.2)`,
      readChoice('--profile', PROFILE_NAMES),
    )
    .option('--dir <path>', 'the virtual directory of the images (default: /images)')
    .option('--fault <json>', 'what goes wrong, as in docs/simulator.md (repeatable)', collect)
    .option(
      '--seed <number>',
      'the same seed gives the same automatic names (default: 1)',
      readCount('--seed'),
    )
    .addHelpText('after', HELP)
    .action(async (options: SimCommandOptions) => {
      await serveUntilEnd(simOptions(options, context), context);
      finished(EXIT.done);
    });
}

/** What the options ask for. Throws REQUEST_INVALID when one makes no sense. */
export function simOptions(options: SimCommandOptions, context: CliContext): ServeOptions {
  const { name, disks, profile, seed, dir } = options;
  const faults = (options.fault ?? []).map(readFault);
  return {
    listen: absoluteFile(options.listen, context),
    ...definedOnly({ name, disks, profile, seed }),
    ...definedOnly({ directory: ifGiven(dir, path => resolve('/', path)) }),
    ...(faults.length === 0 ? {} : { faults }),
    onFault: fault => context.write(`fault: ${JSON.stringify(fault)}`),
  };
}

async function serveUntilEnd(options: ServeOptions, context: CliContext): Promise<void> {
  const server = await listenOrRefuse(options);
  let stopListening = (): void => {};
  const interrupted = new Promise<void>(done => {
    stopListening = context.onInterrupt(done);
  });
  context.write(`a simulated QEMU ${options.profile ?? '7.2'} listens at ${options.listen}; Ctrl-C ends it`);
  try {
    await Promise.race([server.ended.then(() => context.write('the simulated QEMU has ended')), interrupted]);
  } finally {
    stopListening();
    await server.close();
  }
}

/** Another one that listens there is not thrown out. */
async function listenOrRefuse(options: ServeOptions): Promise<Server> {
  try {
    return await serveSim(options);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') {
      throw new BlocksagaError('REQUEST_INVALID', `--listen ${options.listen}: something is there already`);
    }
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `--listen ${options.listen}: no socket can be made (${code})`,
      );
    }
    throw error;
  }
}

const commandPlace = { command: z.string().optional(), nth: z.int().min(1).optional() };
const nthJob = z.int().min(1);
const milliseconds = z.number().min(0);
const place = z.discriminatedUnion('when', [
  z.strictObject({ when: z.literal('before'), ...commandPlace }),
  z.strictObject({ when: z.literal('after'), ...commandPlace }),
  z.strictObject({ when: z.literal('at'), ms: milliseconds }),
]);
const QMP_CLASSES = ['GenericError', 'CommandNotFound', 'DeviceNotActive', 'DeviceNotFound'] as const;

/** The faults of src/sim/monitor/faults.ts, as they come from a command line. */
const faultForm = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('refuse'),
    class: z.enum(QMP_CLASSES).optional(),
    desc: z.string().optional(),
    ...commandPlace,
  }),
  z.strictObject({ kind: z.literal('replyLost'), ...commandPlace }),
  z.strictObject({ kind: z.literal('replyLate'), delayMs: milliseconds, ...commandPlace }),
  z.strictObject({ kind: z.literal('cut'), effect: z.enum(['before', 'after']), ...commandPlace }),
  z.strictObject({
    kind: z.literal('event'),
    event: z.string().optional(),
    nth: z.int().min(1).optional(),
    how: z.enum(['lost', 'twice', 'late', 'swapped']),
    delayMs: milliseconds.optional(),
  }),
  z.strictObject({
    kind: z.literal('jobFails'),
    nth: nthJob,
    percent: z.number().min(0).max(100),
    error: z.string().optional(),
  }),
  z.strictObject({ kind: z.literal('jobNeverReady'), nth: nthJob }),
  z.strictObject({ kind: z.literal('pivotRefused'), nth: nthJob }),
  z.strictObject({ kind: z.literal('diskFull'), freeBytes: z.int().min(0) }),
  z.strictObject({
    kind: z.literal('otherClient'),
    at: place,
    execute: z.string(),
    arguments: z.record(z.string(), z.json()).optional(),
  }),
  z.strictObject({
    kind: z.literal('file'),
    at: place,
    path: z.string(),
    how: z.enum(['remove', 'rename', 'replace', 'recreate']),
  }),
  z.strictObject({ kind: z.literal('guestShutdown'), at: place }),
  z.strictObject({ kind: z.literal('guestSuspend'), at: place }),
  z.strictObject({ kind: z.literal('kill'), at: place, what: z.enum(['qemu', 'host']) }),
]);

function readFault(text: string): Fault {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BlocksagaError('REQUEST_INVALID', `--fault ${text}: this must be JSON`);
  }
  const read = faultForm.safeParse(value);
  if (read.success) return read.data as Fault;
  const problem = read.error.issues[0];
  const where = problem?.path.length ? `${problem.path.join('.')}: ` : '';
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `--fault ${text}: ${where}${problem?.message ?? 'no such fault'}`,
  );
}
