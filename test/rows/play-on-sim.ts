/** Plays rows on simulated QEMUs, each on one of its own. */
import type { ProfileName } from '../../src/sim/profiles.ts';
import { judge, type Played, stageOf, whyOf } from './play-row.ts';
import type { Row } from './row.ts';
import { onSim } from './sim-stage.ts';

/** The versions that these calls can do anything on: without `blockdev-add` no image is made, and none is merged. */
export const ROW_PROFILES = [
  '3.1',
  '5.2',
  '6.1',
  '7.2',
  '10.0',
  '11.1',
] as const satisfies readonly ProfileName[];

/** Whether a row can be played there. */
export function isForSim(row: Row): boolean {
  return row.call !== undefined && row.notSim === undefined;
}

/** What the row came to on a profile; never throws. */
export async function playOnSim(
  row: Row,
  profile: (typeof ROW_PROFILES)[number],
): Promise<Played['verdict']> {
  if (row.needsGraph === true && profile === '3.1') {
    return { verdict: 'cannot', why: 'QEMU before 4.0 does not tell which job uses a disk' };
  }
  try {
    return await onSim(profile, stageOf(row), stage => judge(row, stage));
  } catch (error) {
    return { verdict: 'failed', why: whyOf(error) };
  }
}
