/** `blocksaga pull` and `blocksaga commit`: merge images of N disks' chains, on all disks or on none. Only read options. */
import type { Command } from 'commander';
import type { Guest } from '../../engine/connection/guest.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { CommitRequest, PullRequest } from '../../operations/requests.ts';
import type { Finish, Strategy } from '../../plan/plan.ts';
import { type DiskKeys, readDiskOption } from '../options/disk-option.ts';
import { collect, readBytes, readChoice, readCount } from '../options/option-values.ts';
import {
  addSagaOptions,
  DISK_HELP,
  SAGA_HELP,
  type SagaOptions,
  sagaRequest,
} from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import type { Finished } from '../print/exit-status.ts';
import { runSagaCommand } from '../saga/run-saga-command.ts';
import { commitOfflineCommand, OFFLINE_HELP } from './commit-offline.ts';

const PULL_KEYS: DiskKeys = { base: 'IMAGE' };
const COMMIT_KEYS: DiskKeys = { top: 'IMAGE', base: 'IMAGE' };
const FINISHES: readonly Exclude<Finish, 'clone'>[] = ['pivot', 'abort', 'leave'];
const STRATEGIES: readonly (Strategy | 'auto')[] = ['auto', 'reopen', 'finalize', 'complete'];

const IMAGE_HELP = `
${DISK_HELP}
IMAGE is an image of that disk's chain: its file, its node, or its place, as in "disk0[2]" (the active one is 0).`;

const PULL_HELP = `${IMAGE_HELP}
  base=IMAGE    what stays below the active image; without it nothing does, and the disk is one flat image

The guest keeps running. All jobs are held in PENDING until the last is done; until then no chain has changed, and a
rollback loses nothing of what was pulled.

Examples:
  $ blocksaga pull --qmp /run/vm.qmp --disk disk0 --disk disk1
  $ blocksaga pull --qmp /run/vm.qmp --disk disk0,base=/images/base.qcow2 --bandwidth 100M
${SAGA_HELP}`;

const COMMIT_HELP = `${IMAGE_HELP}
  top=IMAGE     what is committed; the active image unless said
  base=IMAGE    what it is committed into; the lowest image unless said, or with --shallow the next one

With --active the active images of N disks are merged and all disks switched in one instant, or none: that removes a
snapshot. An image below the active one is committed while the guest keeps running.
Do not commit into an image that other images are based on: they would change with it.
${OFFLINE_HELP}
Examples:
  $ blocksaga commit --qmp /run/vm.qmp --disk disk0 --disk disk1 --active --shallow --delete
  $ blocksaga commit --qmp /run/vm.qmp --disk disk0,top=/images/snap2.qcow2,base=/images/base.qcow2
  $ blocksaga commit --offline --disk /images/a.snap2.qcow2 --disk /images/b.snap2.qcow2 --shallow
${SAGA_HELP}`;

interface PullOptions extends SagaOptions {
  readonly parallel?: number;
  readonly bandwidth?: number;
  readonly relative?: boolean;
}

interface CommitOptions extends PullOptions {
  readonly shallow?: boolean;
  readonly delete?: boolean;
  readonly active?: boolean;
  readonly finish?: Exclude<Finish, 'clone'>;
  readonly strategy?: Strategy | 'auto';
  readonly offline?: boolean;
  readonly format?: string;
}

export function definePull(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('pull')
    .summary('pull what is below N active images into them')
    .description(
      'Streams the images below N active ones into them and cuts those out of all chains, or of none.',
    )
    .requiredOption('--disk <disk>', 'DISK[,base=IMAGE]; repeatable', collect);
  addPace(command).addHelpText('after', PULL_HELP);
  addSagaOptions(command).action(async (options: PullOptions) => {
    const request = pullRequest(options, context);
    finished(
      await runSagaCommand(
        { plan: engine => engine.planPull(request), start: engine => engine.pull(request) },
        options,
        context,
      ),
    );
  });
}

export function defineCommit(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('commit')
    .summary('merge images of N disks into ones below them')
    .description('Commits images of N disks into images below them, on all disks or on none.')
    .requiredOption('--disk <disk>', 'DISK[,top=IMAGE][,base=IMAGE]; repeatable', collect)
    .option('--offline', 'no QEMU runs: merge with qemu-img, see below')
    .option('--format <format>', 'with --offline: of the images in front (default: qcow2)')
    .option('--active', 'the active images are committed, and the guest is switched over')
    .option('--shallow', 'commit into the image right below')
    .option('--delete', 'remove the files that have left the chains, after the decision')
    .option(
      '--finish <how>',
      'with --active: pivot (switch), abort, leave (default: pivot)',
      readChoice('--finish', FINISHES),
    )
    .option(
      '--strategy <how>',
      'with --active: auto, reopen, finalize, complete (default: auto)',
      readChoice('--strategy', STRATEGIES),
    );
  addPace(command).addHelpText('after', COMMIT_HELP);
  addSagaOptions(command, { needsMonitor: false }).action(async (options: CommitOptions) => {
    if (options.offline) {
      finished(await commitOfflineCommand(options, context));
      return;
    }
    refuseWithoutMonitor(options);
    const request = commitRequest(options, context);
    finished(
      await runSagaCommand(
        { plan: engine => engine.planCommit(request), start: engine => engine.commit(request) },
        options,
        context,
      ),
    );
  });
}

function refuseWithoutMonitor({ qmp, format }: Partial<CommitOptions>): void {
  if (qmp === undefined) {
    const why = "'--qmp <address>' not specified; a guest that does not run is committed with --offline";
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
  if (format !== undefined) throw new BlocksagaError('REQUEST_INVALID', '--format goes with --offline');
}

function addPace(command: Command): Command {
  return command
    .option('--relative', 'name the image below by a relative path, as the headers between them do')
    .option('--parallel <n>', 'how many disks are merged at once (default: 2)', readCount('--parallel'))
    .option('--bandwidth <bytes/s>', 'limit for each disk, e.g. 100M', readBytes('--bandwidth'));
}

function pullRequest(options: PullOptions, context: CliContext): PullRequest & Guest {
  return {
    ...mergeRequest(options, context),
    disks: options.disk.map(text => readMergeDisk(text, PULL_KEYS)),
  };
}

/** The request that these options make. Throws REQUEST_INVALID. */
function commitRequest(options: CommitOptions, context: CliContext): CommitRequest & Guest {
  const { shallow, active, finish, strategy } = options;
  return {
    ...mergeRequest(options, context),
    disks: options.disk.map(text => readMergeDisk(text, COMMIT_KEYS)),
    ...definedOnly({ shallow, delete: options.delete, active, finish, strategy }),
  };
}

function mergeRequest(options: PullOptions, context: CliContext) {
  const { parallel, bandwidth, relative } = options;
  return { ...sagaRequest(options, context), ...definedOnly({ parallel, bandwidth, relative }) };
}

function readMergeDisk(text: string, keys: DiskKeys) {
  const { disk, values } = readDiskOption(text, keys);
  return { disk, ...definedOnly({ top: values.get('top'), base: values.get('base') }) };
}
