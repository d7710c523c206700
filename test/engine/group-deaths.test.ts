/**
 * The process dies in front of each command, and behind each durable write, of a group of two guests, and each member is resumed by another process: both guests are on
 * their overlays, or both on their bases, and run.
 */
import { describe, expect, it } from 'vitest';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { ResumeOptions } from '../../src/engine/resume.ts';
import { judgeWrites } from '../../src/fuzz/laws/judge-writes.ts';
import { type Group, memoryJournal } from '../../src/index.ts';
import type { Fault } from '../../src/sim/monitor/faults.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { often, strides } from '../tiers/tier.ts';
import { type Dead, dieAt, recoverEach } from './dying-group.ts';
import { Stage, VMS } from './group-stage.ts';
import { rejection } from './lives.ts';

const asked = (stage: Stage, { engine, guests }: ReturnType<Stage['process']>) =>
  engine.group(stage.requests(guests), { id: 'g' });

/** Resumes the members; gives on which side both guests are then. */
function resumeAll(dead: Dead, order: readonly number[], diesAt: number) {
  return resumeEach(dead, order, diesAt, {});
}

/** The same, where each is asked to roll back. */
function abortAll(dead: Dead, order: readonly number[], diesAt: number) {
  return resumeEach(dead, order, diesAt, { signal: 'abort' });
}

async function resumeEach(
  { stage, fronts, left }: Dead,
  order: readonly number[],
  diesAt: number,
  how: ResumeOptions,
) {
  const second = stage.process(left);
  for (const at of order) {
    const guest = second.guests[at];
    const id = `g.${at}`;
    if (guest === undefined || second.journal.saga(id) === undefined) continue;
    const resume = (options: ResumeOptions) =>
      stage.clock.run(second.engine.resume(id, { ...guest, ...options }));
    const saga = await resume(how).catch(error => {
      expect(error).toMatchObject({ code: 'SAGA_STATE' }); // it was asked too late
      return resume({});
    });
    const result = await stage.clock.run(saga.ended);
    expect(result.outcome, `${diesAt}: ${JSON.stringify(result.error)}`).not.toBe('needsRecovery');
  }
  return sideOf(stage, fronts, diesAt);
}

/** The one side on which all guests are, each running. */
function sideOf(stage: Stage, bases: Dead['fronts'], diesAt: number): string | undefined {
  const sides = stage.sims.map((sim, at) => {
    expect(sim.world.running, `${diesAt}: guest ${VMS[at]} runs`).toBe(true);
    expect(sim.world.cutOfFronts(), `${diesAt}`).toMatchObject({ consistent: true });
    return sim.world.fronts().every(({ path }, disk) => path === bases[at]?.[disk]) ? 'old' : 'new';
  });
  expect(new Set(sides).size, `${diesAt}: ${sides.join()}`).toBe(1);
  return sides[0];
}

/** Both QEMUs have died too: recovers the members offline; gives on which side both guests are to be booted. */
async function recoverAll(dead: Dead, order: readonly number[], diesAt: number) {
  const sides = new Set<string>();
  for (const { at, sim, files } of await recoverEach(dead, order)) {
    sides.add(files.every((file, disk) => file === dead.fronts[at]?.[disk]) ? 'old' : 'new');
    const contents = new Map(files.map((file, disk) => [disk, sim.world.readFile(file)]));
    expect(judgeWrites(contents, files.length), `${diesAt}`).toEqual({
      ...{ upTo: sim.world.guest.acknowledged, why: undefined },
    });
  }
  expect(sides.size, `${diesAt}: ${[...sides].join()}`).toBeLessThan(2);
  return [...sides][0] ?? 'old';
}

/** The second guest answers late that it was resumed, so that the members do not go in step. */
const LATE: Fault = { kind: 'replyLate', command: 'cont', nth: 1, delayMs: 5 };
const REFUSED: Fault = { kind: 'refuse', command: 'transaction', nth: 1 };
/** The news of the first cont is that of a third party, right behind the vote. */
const RESUMED: Fault = {
  kind: 'otherClient',
  at: { when: 'after', command: 'transaction', nth: 1 },
  execute: 'cont',
};

/** More moments than a process of these has. */
const MOMENTS_MAX = 400;
const diesAtEach = strides(24);
const askedAtEach = strides(24);
const diesLateAt = strides(3);

const SCENES = [
  // Early deaths lead back, late ones forward, and there is no second change.
  ['that commits', [LATE], /^(old )+new( new)*$/],
  ['of which one cannot take its snapshot', [REFUSED], /^(old ?)+$/],
  ['of which a third party resumes one in the pause', [RESUMED], /^(old ?)+$/],
] as const;

describe.each(SCENES)('a group %s', (_, faults, expected) => {
  it.each([
    ['whose process has died', 'in their order', resumeAll, [0, 1]],
    ['whose process has died', 'in the other one', resumeAll, [1, 0]],
    ['whose process has died, with each member asked to roll back', 'in their order', abortAll, [0, 1]],
    ['whose process has died, with each member asked to roll back', 'in the other one', abortAll, [1, 0]],
    ['whose process and both QEMUs have died', 'in their order', recoverAll, [0, 1]],
    ['whose process and both QEMUs have died', 'in the other one', recoverAll, [1, 0]],
  ] as const)('is on all guests or on none, at whatever moment: one %s, its members %s', async (...row) => {
    const [, , recover, order] = row;
    const sides: string[] = [];
    for (const diesAt of diesAtEach(MOMENTS_MAX)) {
      const dead = await dieAt(diesAt, faults, asked);
      if (!dead.hasDied) break;
      sides.push((await recover(dead, order, diesAt)) ?? '');
    }
    expect(sides.join(' ')).toMatch(expected);
    expect(sides.length).toBeGreaterThan(often(3, 50));
    expect(sides.length).toBeLessThan(MOMENTS_MAX);
  });
});

describe.each(SCENES)('a group %s, of which one member is asked to roll back,', (_, faults) => {
  it.each([0, 1])('is on all guests or on none, at whatever moment: member %i is asked', async asked => {
    const sides = new Set<string | undefined>();
    let last = 0;
    for (const askedAt of askedAtEach(MOMENTS_MAX)) {
      if (last > 0 && askedAt > last) break;
      const stage = Stage.two(faults);
      const bases = stage.sims.map(sim => sim.world.fronts().map(({ path }) => path));
      const process = stage.process(undefined);
      let group: Group | undefined;
      stage.onMoment = moment => {
        if (moment >= askedAt && group !== undefined) {
          stage.onMoment = () => undefined;
          group.members[asked]?.abort().catch(error => expect(error).toMatchObject({ code: 'SAGA_STATE' }));
        }
      };
      group = await stage.clock.run(process.engine.group(stage.requests(process.guests), { id: 'g' }));
      const { outcome } = await stage.clock.run(group.result);
      const side = sideOf(stage, bases, askedAt);
      expect(outcome, `${askedAt}`).toBe(side === 'old' ? 'rolledBack' : 'committed');
      expect(process.journal.saga('g')?.state, `${askedAt}`).toBe(outcome);
      sides.add(side);
      last = Math.max(last, stage.moments);
    }
    expect(sides).toContain('old');
    expect(last).toBeGreaterThan(50);
  });
});

describe('a member of a group that has committed', () => {
  it('is not moved back offline alone, as the others stay on their overlays', async () => {
    let refused = 0;
    for (const diesAt of diesLateAt(MOMENTS_MAX)) {
      const { stage, hasDied, left } = await dieAt(diesAt, [LATE], asked);
      if (!hasDied) break;
      const journal = memoryJournal(left);
      const [sim] = stage.sims;
      if (
        sim === undefined ||
        journal.saga('g')?.state !== 'committed' ||
        journal.saga('g.0')?.state !== 'open'
      )
        continue;
      sim.kill();
      const options = {
        files: sim.files,
        images: virtualImages(sim),
        clock: stage.clock,
        qemu: 'dead',
      } as const;
      const back = recoverOffline(journal, 'g.0', { ...options, back: true });
      expect(await stage.clock.run(rejection(back))).toMatchObject({ code: 'SAGA_STATE' });
      refused += 1;
    }
    expect(refused).toBeGreaterThan(often(1, 3));
  });
});
