/**
 * Holds two accounts of one case against each other: every reply up to the first that really differs, then what is left
 * at the end. Says what differs; whether that is known is for known.ts.
 */

import type { Account } from '../sim/agreement.ts';
import { maskedReason } from './masks.ts';

/** `text`: the same class of error in other words. `differs`: anything else. */
export type Verdict = 'agrees' | 'text' | 'differs';

export interface Finding {
  /** The command, or `(events of jobs)`, `(final graph)`, `(image contents)`. */
  readonly row: string;
  readonly verdict: Verdict;
  /** Which reply, from 0; undefined for what is left at the end. */
  readonly at?: number;
  readonly real: string;
  readonly sim: string;
}

/** All that was compared, in order; nothing after the first `differs` among the replies, which all follows from it. */
export function judge(real: Account, sim: Account): readonly Finding[] {
  const findings: Finding[] = [];
  const replies = Math.max(real.replies.length, sim.replies.length);
  for (let at = 0; at < replies; at += 1) {
    const pair = { real: real.replies[at] ?? '(no reply)', sim: sim.replies[at] ?? '(no reply)' };
    const verdict = verdictOf(pair.real, pair.sim);
    findings.push({ row: rowOf(pair.real), verdict, at, ...pair });
    if (verdict === 'differs' && maskedReason(pair.real, pair.sim) === undefined) return findings;
  }
  const jobs = (account: Account): readonly string[] =>
    Object.entries(account.jobs).flatMap(([id, events]) => events.map(event => `${id}: ${event}`));
  const order = (lines: readonly string[]): string =>
    [...new Set(lines.map(line => line.split(':')[0]))]
      .sort()
      .flatMap(id => lines.filter(line => line.startsWith(`${id}:`)))
      .join('\n');
  for (const [row, ofReal, ofSim] of [
    ['(events of jobs)', order(jobs(real)), order(jobs(sim))],
    ['(final graph)', real.graph.join('\n'), sim.graph.join('\n')],
    ['(image contents)', real.images.join('\n'), sim.images.join('\n')],
  ] as const) {
    const masked = maskedReason(ofReal, ofSim);
    const lines = masked === undefined ? firstLines(ofReal, ofSim) : { real: ofReal, sim: ofSim };
    findings.push({ row, verdict: ofReal === ofSim ? 'agrees' : 'differs', ...lines });
  }
  return findings;
}

function verdictOf(real: string, sim: string): Verdict {
  if (real === sim) return 'agrees';
  const [realClass, simClass] = [classOf(real), classOf(sim)];
  return realClass !== undefined && realClass === simClass ? 'text' : 'differs';
}

/** `blockdev-del: GenericError` of a refusal; undefined of anything else. */
function classOf(reply: string): string | undefined {
  return /^\S+: (GenericError|CommandNotFound|DeviceNotFound|DeviceNotActive|KVMMissingCap)\b/.exec(
    reply,
  )?.[0];
}

function rowOf(reply: string): string {
  const name = reply.startsWith('wait ') ? '(end of jobs)' : (reply.split(':')[0] ?? '');
  return /^[\w-]+-all$/.test(name) ? '(unknown command)' : name;
}

/** The first line in which two texts differ, on both sides. */
function firstLines(real: string, sim: string): { readonly real: string; readonly sim: string } {
  const [ofReal, ofSim] = [real.split('\n'), sim.split('\n')];
  const at = ofReal.findIndex((line, index) => line !== ofSim[index]);
  const from = at === -1 ? ofReal.length : at;
  return { real: ofReal[from] ?? '(nothing more)', sim: ofSim[from] ?? '(nothing more)' };
}
