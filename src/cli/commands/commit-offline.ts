/** `blocksaga commit --offline`: the options of a commit without QEMU, as a request. Only reads options. */
import { planOfflineCommit, startOfflineCommit } from '../../engine/offline-commit/commit-offline.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { openJournal } from '../../journal/sqlite.ts';
import type { OfflineCommitRequest } from '../../operations/commit-offline-request.ts';
import type { OfflineCommitPlan } from '../../operations/plan-commit-offline.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { ChainImage } from '../../plan/plan.ts';
import { type DiskKeys, readDiskOption } from '../options/disk-option.ts';
import { absoluteFile, ifGiven } from '../options/option-values.ts';
import { journalOf, type SagaOptions } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, exitStatusOf } from '../print/exit-status.ts';
import { jsonLine } from '../print/json-lines.ts';
import { countOf } from '../print/words.ts';
import { followSaga } from '../saga/run-saga-command.ts';
import { warnOfOlder } from '../saga/tell-age.ts';
import { withJournal } from '../saga/with-journal.ts';

const KEYS: DiskKeys = { format: 'FORMAT', top: 'IMAGE', base: 'IMAGE' };

/** What commander gives for `blocksaga commit --offline`. */
export interface OfflineOptions extends Omit<SagaOptions, 'qmp'> {
  readonly format?: string;
  readonly shallow?: boolean;
  readonly delete?: boolean;
  readonly relative?: boolean;
}

/** Options that speak of a running guest. */
const ONLINE_ONLY = {
  qmp: '--qmp',
  active: '--active',
  finish: '--finish',
  strategy: '--strategy',
  parallel: '--parallel',
  bandwidth: '--bandwidth',
  maxBlackout: '--max-blackout',
  without: '--without',
  onCommit: '--on-commit',
  onCommitArg: '--on-commit-arg',
  onCommitEnv: '--on-commit-env',
  onCommitTimeout: '--on-commit-timeout',
} as const;

export const OFFLINE_HELP = `
With --offline no QEMU has the images open: they are merged by qemu-img, on all chains or on none, and DISK is the file of
the image in front. Its format is qcow2 unless --format or format=FORMAT says otherwise; what is below has the format that
the header above it says, and none is ever guessed. What is refused before anything is written: an image that is in use,
headers that do not say a format, two disks of which one would not survive the merge of the other. Other images
on the same base that are not named cannot be seen from here: they are of no use afterwards.

Merging writes into the bases and leaves every chain reading as it did. When all are merged it is decided: the headers of
the images above are rewritten, or, where the image in front was merged, the result says to boot from its base. A failure
before that leaves all chains as they were; after it "blocksaga resume --offline SAGA" rolls forward. So does it when this
process dies; before the decision also --back. A merge in hand then begins again.
`;

/** Runs it, or prints its plan, and gives the exit status. Throws refusals. */
export async function commitOfflineCommand(
  options: OfflineOptions & { readonly [option in keyof typeof ONLINE_ONLY]?: unknown },
  context: CliContext,
): Promise<number> {
  for (const [key, option] of Object.entries(ONLINE_ONLY)) {
    if (options[key as keyof typeof ONLINE_ONLY] === undefined) continue;
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${option} is about a running guest, and does not go with --offline`,
    );
  }
  const request = requestOf(options, context);
  if (options.plan) {
    const plan = await planOfflineCommit(request);
    for (const line of options.json ? [jsonLine(planAsJson(plan))] : planInWords(plan)) context.write(line);
    return EXIT.done;
  }
  return withJournal(openJournal(journalOf(options, context)), context, async journal => {
    warnOfOlder(journal, context);
    const start = () => startOfflineCommit(journal, request, { clock: context.clock });
    const { result } = await followSaga(start, journal, options, context);
    return exitStatusOf(result, null);
  });
}

function requestOf(options: OfflineOptions, context: CliContext): OfflineCommitRequest {
  const { id, vm, format, shallow, relative } = options;
  return {
    disks: options.disk.map(text => readOfflineDisk(text, context)),
    ...definedOnly({ id, vm, format, shallow, delete: options.delete, relative }),
  };
}

function readOfflineDisk(text: string, context: CliContext): OfflineCommitRequest['disks'][number] {
  const { disk, values } = readDiskOption(text, KEYS);
  const image = (name: string) => imageName(name, context);
  return {
    disk: absoluteFile(disk, context),
    ...definedOnly({ format: values.get('format') }),
    ...definedOnly({ top: ifGiven(values.get('top'), image), base: ifGiven(values.get('base'), image) }),
  };
}

/** A file, or a place such as `[2]` or `/images/a.qcow2[2]`. */
function imageName(image: string, context: CliContext): string {
  const [, owner, place] = /^(.*)(\[\d+\])$/.exec(image) ?? [];
  if (owner === undefined) return absoluteFile(image, context);
  return owner === '' ? image : `${absoluteFile(owner, context)}${place}`;
}

function planAsJson(plan: OfflineCommitPlan) {
  const image = ({ file, driver }: ChainImage) => ({ file, format: driver });
  return {
    type: 'plan',
    operation: plan.operation,
    disks: plan.disks.map((disk, at) => ({
      disk: disk.disk,
      before: disk.chain.map(image),
      after: chainOfImage(disk).map(image),
      backingFile: plan.merges[at]?.stored ?? null,
    })),
    delete: plan.deletes,
  } as const;
}

function planInWords(plan: OfflineCommitPlan): readonly string[] {
  const chain = (images: readonly ChainImage[]) =>
    images.map(({ file, driver }) => `${file} (${driver})`).join(' <- ');
  return [
    `plan: commit of ${countOf(plan.disks.length, 'disk')} without QEMU; nothing has been changed`,
    ...plan.disks.flatMap((disk, at) => [
      `  ${disk.disk}`,
      `    before: ${chain(disk.chain)}`,
      `    after:  ${chain(chainOfImage(disk))}`,
      ...(plan.merges[at]?.stored ? [`    named in the header above: ${plan.merges[at]?.stored}`] : []),
    ]),
    `  the files that leave are ${plan.deletes ? 'removed' : 'kept, and of no use any more'}`,
  ];
}
