/**
 * Probes: each transition of the charts, each command that third parties send and each code of an error has a name, and is
 * to be hit by every long run; one that cannot be has a written reason here. Counts nothing and runs nothing.
 */
import type { CoverageReport } from './coverage.ts';

/** Why probes that a pattern names are hit by nothing. */
interface Unreached {
  readonly probes: RegExp;
  readonly reason: string;
}

export interface ProbeReport {
  /** How many there are, and how many were hit. */
  readonly total: number;
  readonly hit: number;
  /** Not hit, and nothing says why. */
  readonly missing: readonly string[];
  /** Not hit, with the reason. */
  readonly excused: readonly { readonly probe: string; readonly reason: string }[];
  /** Hit, though a reason says that it cannot be: the reason is to go. */
  readonly refuted: readonly string[];
}

/** Steps of the second stage, and those of the first that come after its files were claimed. */
const AFTER_CLAIMS = /^snapshotMirror (?!markQemu |snapshot\.)\S+ -> askWhetherToKeep$/;

export const UNREACHED: readonly Unreached[] = [
  {
    probes: AFTER_CLAIMS,
    reason: 'files for the mirrors were claimed by then, so the way back begins with an undo of theirs',
  },
  {
    probes: /^snapshotMirror (markQemu|snapshot\.\w+) -> compensating$/,
    reason: 'nothing of the mirrors was begun by then, so the way back begins with the question',
  },
  {
    probes: /^snapshot (claimFiles -> takeSnapshot|createImages -> (takeSnapshotSync|pauseGuest))$/,
    reason: 'overlays are created beforehand for a transaction over opened images, and for nothing else',
  },
  {
    probes: /^snapshotMirror (mirror\.claimFiles -> takeSnapshot|takeSnapshot -> mirrorDisks)$/,
    reason: 'a QEMU that opens the targets by itself can be given no overlays that were opened beforehand',
  },
];

function reasonFor(probe: string): string | undefined {
  return UNREACHED.find(({ probes }) => probes.test(probe))?.reason;
}

/** What a run came to. */
export function judgeProbes({ probes }: CoverageReport): ProbeReport {
  const unhit = probes.never.map(probe => ({ probe, reason: reasonFor(probe) }));
  return {
    total: probes.total,
    hit: probes.reached,
    missing: unhit.flatMap(({ probe, reason }) => (reason === undefined ? [probe] : [])),
    excused: unhit.flatMap(({ probe, reason }) => (reason === undefined ? [] : [{ probe, reason }])),
    refuted: probes.hit.filter(probe => reasonFor(probe) !== undefined),
  };
}
