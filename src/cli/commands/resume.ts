/** `blocksaga resume`: continues sagas whose process died, one or all of them. The engine decides which way. */
import { type Command, Option } from 'commander';
import type { Engine } from '../../engine/api.ts';
import { GROUP, groupIn, hasCommitted, membersIn } from '../../engine/durable/group-register.ts';
import { decideWithoutLeader, LEADER_LOST_WORDS, type LeaderLost } from '../../engine/durable/leader-lost.ts';
import { expectNewestOrAccept } from '../../engine/durable/newest-journal.ts';
import { resumeOfflineCommit } from '../../engine/offline-commit/commit-offline.ts';
import type { Fronts } from '../../engine/recovery/offline-choices.ts';
import { recoverOffline } from '../../engine/recovery/recover-offline.ts';
import type { ResumeOptions } from '../../engine/resume.ts';
import { endedSaga } from '../../engine/running/ended-saga.ts';
import { resultAsJson } from '../../engine/running/result.ts';
import type { Saga } from '../../engine/running/saga.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { systemProcesses } from '../../journal/holder.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import { sagaIsUnknown } from '../../journal/refusals.ts';
import { COMMIT_OFFLINE } from '../../operations/plan-commit-offline.ts';
import { absoluteFile, collect, readChoice, readFront, socketAddress } from '../options/option-values.ts';
import {
  ACCEPT_RESTORED_OPTION,
  addJournalOption,
  addJsonOption,
  addOnCommitOptions,
  journalOf,
  type OnCommitOptions,
  onCommitOption,
  TRACE_OPTION,
} from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, exitStatusOfEnd, type Finished, worstStatus } from '../print/exit-status.ts';
import { refusedLine } from '../print/json-lines.ts';
import { refusalInWords } from '../print/summary.ts';
import { openExistingJournal } from '../saga/read-journal.ts';
import { followGroup, statusOfGroup } from '../saga/run-group.ts';
import { followSaga } from '../saga/run-saga-command.ts';
import { tellIfUnknown } from '../saga/tell-age.ts';
import { withJournal } from '../saga/with-journal.ts';
import { RESUME_HELP } from './resume-help.ts';

interface Options extends OnCommitOptions {
  readonly qmp?: string;
  readonly trace?: string;
  readonly all?: boolean;
  readonly offline?: boolean;
  readonly back?: boolean;
  readonly front?: Fronts;
  readonly ranOn?: readonly string[];
  readonly notOn?: readonly string[];
  readonly acceptImage?: readonly string[];
  readonly force?: boolean;
  readonly acceptRestored?: boolean;
  readonly leaderLost?: LeaderLost;
  readonly journal?: string;
  readonly json?: boolean;
}

export function defineResume(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('resume')
    .summary('resume a saga whose process died, or all of them')
    .description('Continues a saga whose process died or that needs recovery, to its end: all disks or none.')
    .argument('[saga]', 'the saga\'s id, as "blocksaga sagas" lists them')
    .option('--all', 'every open saga whose process has ended')
    .option('--offline', 'QEMU is gone: find the right images, and say which to boot from')
    .option('--force', 'take it from a process that is alive but stopped or hung')
    .option(
      '--back',
      'with --offline: roll back a snapshot, keeping what its overlays hold, or a commit before its decision',
    )
    .addOption(
      new Option(
        '--front <side>',
        'with --offline, where journal and images disagree: the images on which the guest ran last: old, snapshot, new, or DISK=SIDE,... of each disk',
      ).argParser(readFront('--front')),
    )
    .option(
      '--ran-on <overlay>',
      "with --offline: an overlay of others' above an image, on which the guest ran last; repeatable",
      collect,
    )
    .option('--not-on <overlay>', 'with --offline: one on which it did not run last; repeatable', collect)
    .option(
      '--accept-image <file>',
      'with --offline: the right image, though the saga knew another file under its name; repeatable',
      collect,
    )
    .addOption(
      new Option(
        '--leader-lost <decision>',
        'of a group with guests on other hosts: its leading host is lost for good, and this is decided here: commit or roll-back',
      ).argParser(readChoice('--leader-lost', LEADER_LOST_WORDS)),
    )
    .addHelpText('after', RESUME_HELP);
  addOnCommitOptions(command, 'told of the new disks, instead of the one that the saga was begun with');
  addGuestOption(command).option(...TRACE_OPTION);
  addJsonOption(addJournalOption(command), 'newline-delimited JSON on standard output, see below').action(
    async (id: string | undefined, options: Options) => {
      if ((id === undefined) !== (options.all === true)) {
        throw new BlocksagaError(
          'REQUEST_INVALID',
          'name one saga, or say --all; "blocksaga sagas" lists them',
        );
      }
      if (options.force && options.all) {
        throw new BlocksagaError('REQUEST_INVALID', '--force goes with one saga that you have looked at');
      }
      if (options.back && !options.offline) {
        throw new BlocksagaError(
          'REQUEST_INVALID',
          '--back goes with --offline; "blocksaga abort" rolls back online',
        );
      }
      if (options.acceptRestored && options.all) {
        throw new BlocksagaError(
          'REQUEST_INVALID',
          '--accept-restored goes with one saga that you have looked at',
        );
      }
      if (options.leaderLost !== undefined && (options.all || options.force)) {
        throw new BlocksagaError(
          'REQUEST_INVALID',
          '--leader-lost goes with one group that you have looked at, and not with --force',
        );
      }
      const said = options.front ?? options.ranOn ?? options.notOn ?? options.acceptImage;
      if (said !== undefined && !options.offline) {
        throw new BlocksagaError(
          'REQUEST_INVALID',
          '--front, --ran-on, --not-on and --accept-image go with --offline',
        );
      }
      const status = await withJournal(openExistingJournal(journalOf(options, context)), context, journal =>
        id === undefined ? resumeAll(journal, options, context) : resumeOne(id, journal, options, context),
      );
      finished(status);
    },
  );
}

/** `--qmp` where the journal knows the address already. */
export function addGuestOption(command: Command): Command {
  return command
    .option('--qmp <address>', "QEMU's monitor, when it is not at the address in the journal")
    .option(...ACCEPT_RESTORED_OPTION);
}

/** The options that find a saga's guest, and what is promised of its journal. */
export function resumeOptions(
  options: { readonly qmp?: string; readonly acceptRestored?: boolean },
  context: CliContext,
): Pick<ResumeOptions, 'qmp' | 'acceptRestored'> {
  return {
    ...(options.qmp === undefined ? {} : { qmp: socketAddress(options.qmp, context) }),
    ...(options.acceptRestored ? { acceptRestored: true } : {}),
  };
}

async function resumeOne(
  id: string,
  journal: Journal,
  options: Options,
  context: CliContext,
): Promise<number> {
  const row = journal.saga(id);
  tellIfUnknown(journal, id, context);
  if (row?.operation === GROUP) return resumeGroup(row, journal, options, context);
  if (row !== undefined && options.leaderLost !== undefined) {
    const group = groupIn(row);
    const why = `--leader-lost is said of a whole group, and ${id} is a saga: ${group === undefined ? 'it is in no group' : `say it of ${group}`}`;
    throw new BlocksagaError('REQUEST_INVALID', why, { saga: id });
  }
  const { result } = await followSaga(startOf(id, journal, options, context), journal, options, context);
  return exitStatusOfEnd(result, undefined);
}

/** Its members: by the group's decision, which is taken first where no process can take it any more. */
async function resumeGroup(
  row: SagaRow,
  journal: Journal,
  options: Options,
  context: CliContext,
): Promise<number> {
  if (options.qmp !== undefined) {
    const why = `${row.id} is a group, whose guests have a monitor each: resume its members one by one with --qmp: ${membersIn(row).join(', ')}`;
    throw new BlocksagaError('REQUEST_INVALID', why, { saga: row.id });
  }
  if (!options.offline) {
    const { leaderLost } = options;
    const how = {
      ...resumeOptions(options, context),
      ...(options.force ? { force: true } : {}),
      ...definedOnly({ leaderLost }),
    };
    return statusOfGroup(
      await followGroup(engine => engine.resumeGroup(row.id, how), journal, options, context),
    );
  }
  if (row.state === 'open' || row.state === 'needsRecovery') expectNewestOrAccept(journal, row, options);
  if (options.leaderLost !== undefined)
    await decideWithoutLeader(journal, context.clock, row, options.leaderLost);
  const begun = membersIn(row).filter(id => journal.saga(id) !== undefined);
  const statuses: number[] = [];
  const { leaderLost: _, ...each } = options;
  for (const id of begun) statuses.push(await resumeOne(id, journal, each, context));
  await hasCommitted(journal, context.clock, row.id, options.force ?? false);
  return worstStatus(statuses);
}

function startOf(id: string, journal: Journal, options: Options, context: CliContext) {
  const row = journal.saga(id);
  if (row?.operation === COMMIT_OFFLINE && (row.state === 'open' || row.state === 'needsRecovery')) {
    const { acceptImages } = named(options, context);
    const said = definedOnly({ acceptImages });
    return () => resumeOfflineCommit(journal, row, { clock: context.clock, ...way(options), ...said });
  }
  if (options.offline || row?.operation === COMMIT_OFFLINE) {
    return () => recoverAsSaga(id, journal, options, context);
  }
  return (engine: Engine) =>
    engine.resume(id, {
      ...resumeOptions(options, context),
      ...onCommitOption(options, context),
      ...(options.force ? { force: true } : {}),
    });
}

function way({ back, force, acceptRestored }: Options) {
  return {
    ...(back ? { back: true } : {}),
    ...(force ? { force: true } : {}),
    ...(acceptRestored ? { acceptRestored: true } : {}),
  };
}

/** The files that were named, by their whole paths. */
function named({ ranOn, notOn, acceptImage }: Options, context: CliContext) {
  const absolute = (files: readonly string[] | undefined) => files?.map(file => absoluteFile(file, context));
  return { ranOn: absolute(ranOn), notOn: absolute(notOn), acceptImages: absolute(acceptImage) };
}

/** The recovery as a saga that has ended, so that it is told of like any other. */
async function recoverAsSaga(
  id: string,
  journal: Journal,
  options: Options,
  context: CliContext,
): Promise<Saga> {
  const { qmp } = resumeOptions(options, context);
  const result = await recoverOffline(journal, id, {
    clock: context.clock,
    ...(qmp === undefined ? {} : { qmp }),
    ...way(options),
    ...definedOnly({ front: options.front, ...named(options, context) }),
    ...onCommitOption(options, context),
  });
  const row = journal.saga(id);
  if (row === undefined) throw sagaIsUnknown(id);
  return endedSaga({ ...row, result: resultAsJson(result) });
}

async function resumeAll(journal: Journal, options: Options, context: CliContext): Promise<number> {
  const statuses: number[] = [];
  for (const { id } of deadSagas(journal)) {
    try {
      // It may have been brought to its end as a member of a group that came before.
      const state = journal.saga(id)?.state;
      if (state === 'committed' || state === 'rolledBack') continue;
      statuses.push(await resumeOne(id, journal, options, context));
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      // Its lease was renewed while it was waited for: another process runs it.
      if (error.code === 'VM_BUSY' && error.retryable) continue;
      const refusal = error.at({ saga: id }).toJSON();
      if (options.json) context.write(refusedLine('resume', refusal));
      else for (const line of refusalInWords('resume', refusal)) context.complain(line);
      statuses.push(EXIT.refused);
    }
  }
  if (statuses.length === 0 && !options.json) context.write('no saga to resume');
  return worstStatus(statuses);
}

/**
 * Oldest first. Those that a living process of this machine runs are left to it; of one that cannot be seen from here the
 * lease tells, which is waited for.
 */
function deadSagas(journal: Journal): readonly SagaRow[] {
  const { isAlive } = systemProcesses();
  const open = journal.sagas({ state: 'open' }).filter(({ holder }) => isAlive(holder) !== true);
  return [...open, ...journal.sagas({ state: 'needsRecovery' })].sort(
    (one, other) => one.createdAtMs - other.createdAtMs,
  );
}
