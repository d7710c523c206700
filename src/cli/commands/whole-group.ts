/** `--group` of `snapshot` and of `copy`: snapshots or clones of several guests at one instant. Only reads the options. */
import { createEngine } from '../../engine/engine.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { memoryJournal } from '../../journal/memory.ts';
import { openJournal } from '../../journal/sqlite.ts';
import { type GroupCommand, readGroupFile } from '../options/group-file.ts';
import { journalOf, onCommitOption, type SagaOptions } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT } from '../print/exit-status.ts';
import { printPlan } from '../print/print-plan.ts';
import { followGroup, statusOfGroup } from '../saga/run-group.ts';
import { warnOfOlder } from '../saga/tell-age.ts';
import { withJournal } from '../saga/with-journal.ts';

interface GroupOptions extends Partial<SagaOptions> {
  readonly group: string;
}

/** Options of one guest, which each guest of the file has for itself. */
const OF_ONE_GUEST = {
  qmp: '--qmp',
  disk: '--disk',
  vm: '--vm',
  name: '--name',
  relative: '--relative',
  atomic: '--atomic',
  quiesce: '--quiesce',
  strategy: '--strategy',
  parallel: '--parallel',
  bandwidth: '--bandwidth',
  granularity: '--granularity',
  bufSize: '--buf-size',
  syncWrites: '--sync-writes',
  without: '--without',
} as const;

/** Runs it, or prints its plans, and gives the exit status. Throws refusals. */
export async function runGroup(
  command: GroupCommand,
  options: GroupOptions & { readonly [option in keyof typeof OF_ONE_GUEST]?: unknown },
  context: CliContext,
): Promise<number> {
  for (const [option, name] of Object.entries(OF_ONE_GUEST)) {
    if (Object.hasOwn(options, option)) {
      const why = `${name} does not go with --group: each guest of the file has its own`;
      throw new BlocksagaError('REQUEST_INVALID', why);
    }
  }
  const { maxBlackout: maxBlackoutMs } = options;
  const common = { ...definedOnly({ maxBlackoutMs }), ...onCommitOption(options, context) };
  const requests = readGroupFile(command, options.group, common, context);
  if (options.plan) {
    const engine = createEngine({ journal: memoryJournal() });
    for (const plan of await engine.planGroup(requests))
      await printPlan(plan, { ...definedOnly({ json: options.json }) }, context);
    return EXIT.done;
  }
  const id = options.id === undefined ? {} : { id: options.id };
  return withJournal(openJournal(journalOf(options, context)), context, async journal => {
    warnOfOlder(journal, context);
    return statusOfGroup(await followGroup(engine => engine.group(requests, id), journal, options, context));
  });
}

/** Throws REQUEST_INVALID for what one guest cannot be without. */
export function withGuest<O extends Partial<SagaOptions>>(
  command: GroupCommand,
  { qmp, disk, ...options }: O,
): Omit<O, 'qmp' | 'disk'> & Pick<SagaOptions, 'qmp' | 'disk'> {
  const missing = qmp === undefined ? '--qmp <address>' : disk === undefined ? '--disk <disk>' : undefined;
  if (qmp !== undefined && disk !== undefined) return { ...options, qmp, disk };
  const why = `required option '${missing}' not specified; several guests at once are named in a file: --group FILE`;
  throw new BlocksagaError('REQUEST_INVALID', `${why} (see blocksaga help ${command})`);
}
