/** Plays rows on simulated QEMUs, each on one of its own. */
import type { ProfileName } from '../../src/sim/state/profiles.ts';
import { judge, type Played, stageOf, whyOf } from './play-row.ts';
import type { Row } from './row.ts';
import { onSim } from './sim-stage.ts';

/** Whether a row can be played there. */
export function isForSim(row: Row): boolean {
  return row.call !== undefined && row.notSim === undefined;
}

const NAMES_NO_NODES: readonly ProfileName[] = ['1.0', '1.1', '1.3', '2.4'];

/** What the rows themselves ask of QEMU, besides what the calls need. */
const LACKS: readonly {
  readonly need: 'needsDevices' | 'needsGraph' | 'needsNodes' | 'needsTuning';
  readonly on: readonly ProfileName[];
  readonly why: string;
}[] = [
  {
    need: 'needsGraph',
    on: [...NAMES_NO_NODES, '2.12', '3.1'],
    why: 'QEMU before 4.0 does not tell which job uses a disk',
  },
  {
    need: 'needsTuning',
    on: ['1.0', '1.1', '1.3'],
    why: 'QEMU before 1.4 takes neither a granularity nor a buffer size for a mirror',
  },
  {
    need: 'needsDevices',
    on: NAMES_NO_NODES,
    why: 'QEMU before 2.10 does not tell which device a disk is of',
  },
  { need: 'needsNodes', on: NAMES_NO_NODES, why: 'QEMU before 2.5 has no names for nodes' },
];

/** What the row came to on a profile; never throws. */
export async function playOnSim(row: Row, profile: ProfileName): Promise<Played['verdict']> {
  const lacks = LACKS.find(({ need, on }) => row[need] === true && on.includes(profile));
  if (lacks !== undefined) return { verdict: 'cannot', why: lacks.why };
  try {
    return await onSim(profile, stageOf(row), stage => judge(row, stage));
  } catch (error) {
    return { verdict: 'failed', why: whyOf(error) };
  }
}
