/**
 * The process dies in front of each command, and behind each durable write, of two guests that are cloned as a group, with or without
 * their QEMUs, and each member is resumed or recovered by another process: the copies of both stand and are of one instant, or none is left.
 */
import { describe, expect, it } from 'vitest';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { often, strides } from '../tiers/tier.ts';
import { type Dead, dieAt, frontsOf, recoverEach } from './dying-group.ts';
import { type Stage, VMS } from './group-stage.ts';

const asked = (stage: Stage, { engine, guests }: ReturnType<Stage['process']>) =>
  engine.group(stage.clones(guests), { id: 'g' });

async function resumeAll({ stage, fronts, left }: Dead, order: readonly number[], diesAt: number) {
  const second = stage.process(left);
  const named = new Set<string>();
  for (const at of order) {
    const guest = second.guests[at];
    const id = `g.${at}`;
    if (guest === undefined || second.journal.saga(id) === undefined) continue;
    const saga = await stage.clock.run(second.engine.resume(id, guest));
    const result = await stage.clock.run(saga.ended);
    expect(result.outcome, `${diesAt}: ${JSON.stringify(result.error)}`).not.toBe('needsRecovery');
    for (const file of result.leftovers) named.add(file);
  }
  for (const { world } of stage.sims) expect(world.running, `${diesAt}`).toBe(true);
  expect(frontsOf(stage), `${diesAt}`).toEqual(fronts);
  return copiesIn(stage, named, diesAt);
}

async function recoverAll(dead: Dead, order: readonly number[], diesAt: number) {
  const named = new Set<string>();
  for (const { at, result, files } of await recoverEach(dead, order)) {
    expect(files, `${diesAt}`).toEqual(dead.fronts[at]);
    for (const file of result.leftovers) named.add(file);
  }
  return copiesIn(dead.stage, named, diesAt);
}

/** Whether the copies stand, of one instant, or none of them is there but those that a result has named as left behind. */
function copiesIn(stage: Stage, named: ReadonlySet<string>, diesAt: number): 'kept' | 'gone' {
  const go = stage.pauses.find(({ verb }) => verb === 'cont');
  const kept = stage.sims.map(({ world }, at) => {
    const files = [0, 1].map(disk => stage.newFile(at, disk));
    if (files.every(file => named.has(file) || !world.host.files.has(file))) return 'gone';
    const contents = files.map(file => world.readFile(file));
    const cut = new Map(contents.map((each, disk) => [disk, each ?? []] as const));
    const upTo = go?.world[at]?.acknowledged;
    expect(judgeWrites(cut, files.length), `${diesAt}: ${VMS[at]}`).toEqual({ upTo, why: undefined });
    return 'kept';
  });
  expect(new Set(kept).size, `${diesAt}: ${kept.join()}`).toBe(1);
  return kept[0] ?? 'gone';
}

/** The second guest answers late that it was resumed, so that the members do not go in step. */
const LATE: Fault = { kind: 'replyLate', command: 'cont', nth: 1, delayMs: 5 };
/** A third party resumes the second guest when its mirrors end. */
const RESUMED: Fault = {
  kind: 'otherClient',
  at: { when: 'after', command: 'block-job-cancel', nth: 2 },
  execute: 'cont',
};
/** The end of one of the second guest's mirrors is refused. */
const ENDED: Fault = { kind: 'refuse', command: 'block-job-cancel', nth: 1 };

const MOMENTS_MAX = 500;
const diesAtEach = strides(28);

const SCENES = [
  ['that commits', [LATE], /^(gone )+kept( kept)*$/],
  ['of which a third party resumes one in the pause', [RESUMED], /^(gone ?)+$/],
  ['of which one mirror cannot be ended', [ENDED], /^(gone ?)+$/],
] as const;

describe.each(SCENES)('a group of clones %s', (_, faults, expected) => {
  it.each([
    ['whose process has died', 'in their order', resumeAll, [0, 1]],
    ['whose process has died', 'in the other one', resumeAll, [1, 0]],
    ['whose process and both QEMUs have died', 'in their order', recoverAll, [0, 1]],
    ['whose process and both QEMUs have died', 'in the other one', recoverAll, [1, 0]],
  ] as const)('keeps all copies or none, at whatever moment: one %s, its members %s', async (...row) => {
    const [, , recover, order] = row;
    const sides: string[] = [];
    for (const diesAt of diesAtEach(MOMENTS_MAX)) {
      const dead = await dieAt(diesAt, faults, asked);
      if (!dead.hasDied) break;
      sides.push(await recover(dead, order, diesAt));
    }
    expect(sides.join(' ')).toMatch(expected);
    expect(sides.length).toBeGreaterThan(often(3, 50));
    expect(sides.length).toBeLessThan(MOMENTS_MAX);
  });
});
