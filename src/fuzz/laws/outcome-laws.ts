/**
 * The laws about which outcome a saga comes to and how long it takes: whether it ends, when it may give up, whether a
 * death changes its outcome, and how long the guest is paused. What they excuse is in `excuses.ts`.
 */
import { restBefore } from '../../steps/mirror/await-convergence.ts';
import type { Account } from '../account/account.ts';
import type { Wish } from '../scenario/wish.ts';
import { endAtLast, endUnderFaults } from './excuse-conditions.ts';
import type { Pardon } from './pardon.ts';

/** How long the guest may be paused when nothing holds up the orchestrator; milliseconds, beyond `maxBlackoutMs`. */
const PAUSE_SLACK_MS = 50;
const BLACKOUT_AMPLE_MS = 1_000;
/** Longer than any wait of the engine for something that does not come, and no longer: 30 s for a job that is given up. */
const CALM_MS_MAX = 60_000;

type Check = (account: Account, pardon: Pardon) => string | undefined;

export const pauseBounded: Check = (account, pardon) => {
  const { pauses, scenario } = account;
  const { maxBlackoutMs } = scenario.wish;
  const end = endUnderFaults(account);
  if (pardon.excuses('the pause is bounded', end)) return undefined;
  const longest = Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs));
  const permittedMs = maxBlackoutMs + PAUSE_SLACK_MS + pardon.allowsMs('the pause is bounded', end);
  if (longest <= permittedMs) return undefined;
  return `the guest was paused for ${longest} ms, and ${maxBlackoutMs} ms are permitted`;
};

export const qemuSurvives: Check = (account, pardon) => {
  const { crash, atLast, scenario } = account;
  if (crash !== undefined || atLast.alive || scenario.wish.operation === 'commitOffline') return undefined;
  return pardon.excuses('QEMU survives', endAtLast(account)) ? undefined : 'QEMU is gone, and was not killed';
};

export const itEnds: Check = (account, pardon) => {
  const { crash, refusal, atLast, resultAtLast, calmMs } = account;
  if (crash !== undefined || refusal !== undefined || !atLast.alive) return undefined;
  const outcome = resultAtLast?.outcome;
  if (outcome === 'committed' || outcome === 'rolledBack') {
    const permittedMs = CALM_MS_MAX + restedMs(account);
    if (calmMs <= permittedMs) return undefined;
    return `once nothing went wrong any more it took ${calmMs} ms to end, and ${permittedMs} are permitted`;
  }
  if (pardon.excuses('it ends', endAtLast(account))) return undefined;
  const error = resultAtLast?.error;
  return `the saga is ${outcome ?? 'without an end'} though nothing goes wrong any more (${error?.step}: ${error?.message})`;
};

/** What a saga lets its guest alone between pauses in which the mirrors did not come close, as often as it has tried. */
function restedMs({ records }: Pick<Account, 'records'>): number {
  const rounds = records.filter(({ kind, step }) => kind === 'intent' && step.endsWith('awaitConvergence'));
  return rounds.slice(1).reduce((sum, _, at) => sum + restBefore(at + 2), 0);
}

export const recoveryIsTheException: Check = (account, pardon) => {
  const { result, after, crash } = account;
  if (crash !== undefined || result?.outcome !== 'needsRecovery' || !after.alive) return undefined;
  if (pardon.excuses('recovery is the exception', endUnderFaults(account))) return undefined;
  return `QEMU lives, and the saga gave up: ${result.error?.step}: ${result.error?.message}`;
};

export const askedBackGoesBack: Check = (account, pardon) => {
  const { scenario, recordsEnded: records, result, struck, crash, deaths } = account;
  if (crash !== undefined || result === undefined) return undefined;
  const asked = records.find(({ kind, step }) => kind === 'signal' && step === 'abort');
  const decision = records.find(
    ({ kind, body }) => kind === 'decision' && (body as { verdict?: string }).verdict === 'forward',
  );
  const deciding = records.findLast(
    ({ kind, step, seq }) => kind === 'intent' && step === decision?.step && seq < decision.seq,
  );
  if (asked === undefined) return undefined;
  const isDecidedLater = deciding !== undefined && asked.seq < deciding.seq;
  if (isDecidedLater && !pardon.excuses('asked to roll back, rolls back', endUnderFaults(account))) {
    return `it was asked to roll back before ${deciding.step} was begun, and decided to roll forward`;
  }
  if (result.outcome !== 'rolledBack' || struck.length > 0 || deaths > 0) return undefined;
  if ('finish' in scenario.wish && scenario.wish.finish === 'abort') return undefined;
  if (result.error === null) return 'it was asked back, and gives no reason';
  // What has its own reason to roll back meanwhile may name that.
  const { code } = result.error;
  const isOwn = records.some(
    ({ kind, step, body }) =>
      kind === 'outcome' &&
      !step.startsWith('undo.') &&
      (body as { error?: { code?: string } }).error?.code === code,
  );
  const isAmple = scenario.wish.maxBlackoutMs >= BLACKOUT_AMPLE_MS;
  return code === 'ABORTED' || isOwn || !isAmple ? undefined : `it was asked back, and says ${code}`;
};

/** Whether the request itself is to roll everything back in the end. */
function takesBack(wish: Wish): boolean {
  const { operation } = wish;
  return (operation === 'copy' || (operation === 'commit' && wish.top === 0)) && wish.finish === 'abort';
}

export const crashIsResume: Check = (account, pardon) => {
  const { scenario, struck, signalled, result, crash, refusal } = account;
  if (
    struck.length > 0 ||
    scenario.faults.some(fault => fault.kind === 'diskFull') ||
    signalled.includes('abort') ||
    crash !== undefined ||
    refusal !== undefined
  )
    return undefined;
  if (pardon.excuses('crash is resume', endUnderFaults(account))) return undefined;
  const expected = takesBack(scenario.wish) ? 'rolledBack' : 'committed';
  return result?.outcome === expected
    ? undefined
    : `nothing went wrong, and the saga is ${result?.outcome}, not ${expected} (${result?.error?.step}: ${result?.error?.message})`;
};
