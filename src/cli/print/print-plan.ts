/** `--plan`: what would be done, in words or as one JSON object. Reads a plan and changes nothing. */
import { todoIn } from '../../engine/durable/guest-left.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import {
  type ChainImage,
  type DiskPlan,
  type Finish,
  hasMirrors,
  type Plan,
  type RevertStrategy,
  type RewritePlan,
  type SnapshotPlan,
  type Strategy,
  type SwitchPlan,
  wayOf,
} from '../../plan/plan.ts';
import { lossesIn, weakerIn } from '../../plan/told.ts';
import { growingSizeInWords } from '../../railway/words.ts';
import { stagesOf } from '../../steps/stages.ts';
import type { CliContext } from './context.ts';
import { jsonLine } from './json-lines.ts';
import { predictChain, predictSteps } from './predict.ts';
import { countOf, stepInWords } from './words.ts';

const STRATEGY_WORDS: Readonly<Record<Strategy, string>> = {
  reopen: 'one blockdev-reopen switches all disks, and QEMU does all of it or nothing',
  finalize: 'every mirror is parked in PENDING, then all are finalized; undone by mirrors back',
  complete: 'the mirrors are completed disk by disk; undone by mirrors back',
};
const REVERT_WORDS: Readonly<Record<RevertStrategy, string>> = {
  reopen: STRATEGY_WORDS.reopen,
  rebase:
    'the overlays come in front of all disks, then one blockdev-reopen puts them on the older images, and QEMU does all of it or nothing',
};
const METHOD_WORDS = {
  transaction: 'one transaction over overlays that were opened before, done by QEMU for all disks or none',
  transactionSync: 'one transaction that also creates the overlays, done by QEMU for all disks or none',
  sequential: 'disk by disk while the guest is paused; a failure undoes the ones before',
} as const;

/** Prints the plan. */
export async function printPlan(
  plan: Plan,
  options: { readonly json?: boolean; readonly strategy?: string },
  context: CliContext,
): Promise<void> {
  const described = await describePlan(plan, options.strategy ?? 'auto');
  if (options.json) context.write(jsonLine(described));
  else for (const line of planInWords(plan, described)) context.write(line);
}

async function describePlan(plan: Plan, asked: string) {
  const { steps, end } = await predictSteps(plan);
  const how = wayOf(plan);
  return {
    type: 'plan',
    operation: plan.operation,
    finish: finishOf(plan),
    strategy: how,
    why: whyThisWay(plan, asked),
    weaker: weakerIn(plan),
    losses: lossesIn(plan),
    ...('hint' in plan ? { hint: plan.hint } : {}),
    capabilities: plan.capabilities,
    maxBlackoutMs: plan.maxBlackoutMs,
    notRemoved: notRemoved(plan),
    disks: plan.disks.map(disk => ({
      disk: disk.disk,
      node: disk.node,
      ...(usersFilters(disk).length === 0
        ? {}
        : { filters: usersFilters(disk).map(({ node, driver }) => ({ node, driver })) }),
      sizeBytes: disk.sizeBytes,
      before: disk.chain.map(imageInJson),
      after: predictChain(plan, disk).map(imageInJson),
      image: { file: disk.image.file, format: disk.image.driver, create: disk.image.create },
    })),
    steps,
    end,
  } as const;
}

/** Files that the request wants removed and that will stay, with the reason. */
function notRemoved(plan: Plan): readonly string[] {
  const leaving = 'leaving' in plan ? (plan.leaving ?? []) : [];
  return leaving.flatMap(({ file, why }) => (why === null ? [] : [`${file} (${why})`]));
}

function finishOf(plan: Plan): Finish | null {
  const last = stagesOf(plan).at(-1)?.plan ?? plan;
  return hasMirrors(last) ? last.finish : null;
}

function imageInJson({ file, driver, node }: ChainImage) {
  return { file, format: driver, node };
}

function whyThisWay(plan: Plan, asked: string): string {
  if (plan.operation === 'snapshotMirror') return whyStrategy(plan.mirror, asked);
  if (hasMirrors(plan)) return whyStrategy(plan, asked);
  if (plan.operation === 'revert')
    return plan.strategy === 'rebase'
      ? 'a disk may stay in its iothread while the guest is stopped, where QEMU takes no filter above it'
      : 'the only way in which all disks change at once without any copying';
  return plan.operation === 'snapshot' ? whyMethod(plan) : REWRITE_WHY;
}

const REWRITE_WHY = 'the guest reads the same before and after, so it is neither stopped nor switched';

function whyStrategy(plan: SwitchPlan, asked: string): string {
  if (plan.strategy === null) return 'nothing is switched';
  if (asked !== 'auto') return 'asked for';
  if (plan.strategy === 'reopen') return 'the strongest there is, and this QEMU has all that it needs';
  const missing = lacking(plan, ['blockdev-reopen', 'throttle', 'throttle-group']);
  const reasons = [
    ...(missing.length > 0
      ? [`this QEMU lacks ${missing.join(' and ')}`]
      : plan.jobsVanishOnEnd === undefined
        ? ['not every disk can take a filter while the guest is stopped']
        : []),
    ...(plan.strategy === 'complete' ? ['its mirrors cannot be finalized by hand'] : []),
    ...(plan.jobsVanishOnEnd === undefined ? [] : ['it forgets its jobs when they end']),
  ];
  return `the strongest possible here: ${reasons.join('; ')}`;
}

function whyMethod(plan: SnapshotPlan): string {
  if (plan.method === 'transaction') return 'the strongest there is, and this QEMU has all that it needs';
  const missing = lacking(plan, ['transaction', 'blockdev-snapshot', 'blockdev-add', 'blockdev-create']);
  return `the strongest possible here: this QEMU lacks ${missing.join(' and ')}`;
}

function lacking(plan: Plan, names: readonly string[]): readonly string[] {
  return names.filter(name => !plan.capabilities.includes(name));
}

type Described = Awaited<ReturnType<typeof describePlan>>;

function planInWords(plan: Plan, described: Described): readonly string[] {
  const made = stagesOf(plan).flatMap(stage => stage.plan.disks);
  const created = made.filter(disk => disk.image.create).map(disk => disk.image.file);
  return [
    `plan: ${plan.operation} of ${countOf(plan.disks.length, 'disk')}; nothing has been changed`,
    `  QEMU can: ${plan.capabilities.join(', ')}`,
    `  how: ${howInWords(plan)}`,
    `  why: ${described.why}`,
    ...described.weaker.map(promise => `  weaker here: ${promise}`),
    ...described.losses.map(loss => `  does not come along: ${loss}`),
    ...('hint' in plan && plan.hint !== null ? [`  hint: ${plan.hint}`] : []),
    plan.withoutGuest
      ? '  nothing is paused: a storage daemon has no guest'
      : `  the guest is paused for ${plan.maxBlackoutMs} ms at most`,
    ...(plan.foundIn === undefined
      ? []
      : [`  the guest does not run, and will not: its state is "${plan.foundIn}": ${todoIn(plan.foundIn)}`]),
    ...plan.disks.flatMap(disk => diskInWords(plan, disk)),
    ...described.notRemoved.map(words => `  will not be removed: ${words}`),
    `  new files: ${created.length === 0 ? 'none' : created.join(', ')}`,
    '  steps:',
    ...described.steps.map((step, at) => `    ${at + 1}. ${stepInWords(step)}`),
    `  ends: ${END_WORDS[described.end] ?? described.end}`,
  ];
}

const END_WORDS: Readonly<Record<string, string>> = {
  committed: 'committed',
  rolledBack: 'rolled back, as asked',
  ready: 'ready, with the mirrors following the guest and the saga open',
};

function howInWords(plan: Plan): string {
  if (plan.operation === 'snapshotMirror')
    return `${howInWords(plan.snapshot)}; then ${howInWords(plan.mirror)}`;
  if (plan.operation === 'snapshot') {
    const frozen = plan.quiesce === null ? '' : `, with the guest frozen through ${plan.quiesce}`;
    return `${plan.method}: ${METHOD_WORDS[plan.method]}${frozen}`;
  }
  if (plan.operation === 'revert')
    return `new overlays on the older images; ${plan.strategy}: ${REVERT_WORDS[plan.strategy]}`;
  if (!hasMirrors(plan)) return `${rewriteInWords(plan)}, ${pace(plan)}`;
  const mirrors =
    'mirror' in plan && plan.mirror.by === 'drive-mirror' ? 'mirrors to images that QEMU opens' : 'mirrors';
  const frozen =
    'quiesce' in plan && plan.quiesce !== undefined ? `, with the guest frozen through ${plan.quiesce}` : '';
  if (plan.strategy === null) return `${mirrors}, ${pace(plan)}; finish "${plan.finish}"${frozen}`;
  return `${mirrors}, ${pace(plan)}; finish "${plan.finish}"; ${plan.strategy}: ${STRATEGY_WORDS[plan.strategy]}`;
}

function rewriteInWords({ operation, manualFinalize }: RewritePlan): string {
  return manualFinalize
    ? REWRITE_WORDS[operation]
    : `plain ${operation} jobs, which this QEMU cannot hold in PENDING: the first disk's decides, the others follow`;
}

const REWRITE_WORDS = {
  pull: 'streams into the active images, all held in PENDING until the last is done',
  commit: 'commits below the active images, all held in PENDING until the last is done',
} as const;

function pace({ parallel, speed }: SwitchPlan | RewritePlan): string {
  return `${parallel} at a time${speed > 0 ? `, each at ${growingSizeInWords(speed)}/s` : ''}`;
}

function diskInWords(plan: Plan, disk: DiskPlan): readonly string[] {
  const chain = (images: readonly { file: string; driver: string }[]) =>
    images.map(image => `${image.file} (${image.driver})`).join(' <- ');
  const stays = finishOf(plan) !== null && finishOf(plan) !== 'pivot';
  const above = usersFilters(disk)
    .map(({ node, driver }) => ` below ${driver} filter ${node}`)
    .join('');
  return [
    `  ${disk.disk} (node ${disk.node}${above}, ${growingSizeInWords(disk.sizeBytes)})`,
    `    before: ${chain(disk.chain)}`,
    `    after:  ${chain(predictChain(plan, disk))}`,
    ...(stays ? [`    copy:   ${chain(chainOfImage(disk))}`] : []),
  ];
}

function usersFilters({ filters = [] }: DiskPlan): NonNullable<DiskPlan['filters']> {
  return filters.filter(({ own }) => !own);
}
