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

/** None at present: a chart has only what some saga of its shape can come to. */
export const UNREACHED: readonly Unreached[] = [];

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
