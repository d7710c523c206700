/**
 * The law about what a saga does once it has decided: it only rolls forward. A decision that was written in front of its
 * command, or while QEMU worked on that, counts when the command has succeeded. Judged by the journal alone, but for a migration,
 * which is looked for in the world.
 */
import { ALL_STEPS } from '../../steps/all-steps.ts';
import { splitKey } from '../../steps/stages.ts';
import type { Account } from '../account/account.ts';

const UNDO = 'undo.';

interface Decided {
  readonly step: string;
  /** Whether what was decided on has come about. */
  isFinal: boolean;
}

export function decidedStays({ records, crash, migrations }: Account): string | undefined {
  if (crash !== undefined) return undefined;
  let decided: Decided | undefined;
  for (const { kind, step, body, seq } of records) {
    // A snapshot with mirrors can be rolled back until its disks are switched to those.
    if (splitKey(step).stage === 'snapshot') continue;
    const { verdict, error } = (body ?? {}) as Body;
    if (kind === 'decision' && verdict === 'back') decided = undefined;
    if (kind === 'decision' && verdict === 'forward') decided = { step, isFinal: decidesAfterwards(step) };
    if (decided === undefined) continue;
    if (kind === 'outcome' && step === decided.step && error === undefined) decided.isFinal = true;
    if (kind === 'outcome' && error?.code === 'MIGRATING' && migrations.length > 0) decided.isFinal = false;
    if (kind === 'intent' && decided.isFinal && step.startsWith(UNDO))
      return `record ${seq}: ${step} was begun though ${decided.step} had decided`;
  }
  return undefined;
}

interface Body {
  readonly verdict?: string;
  readonly error?: { readonly code?: string };
}

function decidesAfterwards(key: string): boolean {
  const { step } = splitKey(key);
  return Object.values(ALL_STEPS).some(
    each => each.name === step && 'decision' in each && each.decision === 'afterwards',
  );
}
