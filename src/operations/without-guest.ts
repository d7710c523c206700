/**
 * What is asked of a storage daemon, which has no guest: what needs a pause or a device is refused, with the reason, and what is
 * done says what is promised without a pause.
 */
import { BlocksagaError } from '../errors.ts';
import type { PlanBase } from '../plan/plan.ts';
import { type Capabilities, withoutCapabilities } from '../qmp/capabilities.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { Survey } from './survey.ts';

/** Throws CAPABILITY_MISSING where there is no guest. `why` says what this would be needed for. */
export function needGuest(survey: Survey, what: string, why: string): void {
  if (survey.hasGuest) return;
  const served = survey.disks
    .map(({ drive, node }) => `${drive} (of node ${node})`)
    .toSorted()
    .join(', ');
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `this monitor belongs to a qemu-storage-daemon, which has no guest that could be paused, and no devices: ${served === '' ? 'it exports nothing' : `it exports ${served}`}. ` +
      `It cannot be asked for ${what}: ${why}. What it can do without a pause are snapshots, pulls, and commits below active images`,
  );
}

/** What QEMU's schema tells, as far as this monitor takes it: the storage daemon of 5.2 tells of `object-add`, and does not know it. */
export async function abilitiesAt(
  qmp: QmpClient,
  { hasGuest }: Survey,
  told: Capabilities,
): Promise<Capabilities> {
  if (hasGuest) return told;
  const commands = await qmp.execute('query-commands');
  return commands.some(({ name }) => name === 'object-add')
    ? told
    : withoutCapabilities(told, ['throttle-group']);
}

const UNPAUSED =
  'nothing is paused, since a storage daemon has no guest: QEMU holds back what comes from the clients of all named exports while one ' +
  'transaction changes them, so that the images left behind are one instant of what it had answered by then; what a client keeps in ' +
  'caches of its own is in none of them. A rollback behind that returns export by export, and each reads the same throughout';

/** The plan of a snapshot, with what it promises where nothing is paused. */
export function saysUnpaused<P extends PlanBase>(plan: P): P {
  return plan.withoutGuest ? { ...plan, weaker: [...(plan.weaker ?? []), UNPAUSED] } : plan;
}
