/**
 * Third parties that resume a guest of a group, and stop it again, at each instant of its pause, also where the process of the group has
 * died there and QEMU behind that. Whatever the group comes to, no guest loses a write, and what is committed is one instant.
 */
import { describe, expect, test } from 'vitest';
import { isFull, often } from '../test/tiers/tier.ts';
import { judgeGroup } from './group-laws.ts';
import { type GroupScene, type Played, playGroup } from './group-scene.ts';

/** Slow enough that there is room between two commands, and a guest that writes over all that it has in a few of them. */
const TIMING = { commandMs: 0.4, queryMs: 0.4, guestWriteMs: 0.05 } as const;
const STEP_MS = often(0.9, 0.3);
const DEATHS_EVERY = often(6, 2);
/** For how long the guest runs until it is stopped again; null where it is not. */
const RUNS_MS = isFull ? [0.1, 0.5, 1.3, 3, null] : [0.5, null];
/** From the last command of the process on, until the next one comes. */
const DEAD_MS = 5;
const REST_MS = 20;

type Fault = NonNullable<GroupScene['guests'][number]['faults']>[number];

function groupOf(isCloned: boolean, faults: readonly Fault[] = []): GroupScene {
  const guest = { profile: '7.2', disks: 2, timing: TIMING } as const;
  const guests = [{ ...guest, faults }, guest];
  return { guests, isCloned, diesAt: null, abortAt: null, order: [0, 1], killed: [] };
}

/** Resumes the guest at a moment, and stops it so much later. */
function resumedAt(ms: number, forMs: number | null): readonly Fault[] {
  const act = (execute: string, at: number): Fault => ({
    kind: 'otherClient',
    at: { when: 'at', ms: at },
    execute,
  });
  return [act('cont', ms), ...(forMs === null ? [] : [act('stop', ms + forMs)])];
}

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, at) => from + at * step);
}

async function holds(scene: GroupScene): Promise<Played> {
  const played = await playGroup(scene);
  const [fault] = scene.guests[0]?.faults ?? [];
  expect(judgeGroup(played), JSON.stringify({ fault, diesAt: scene.diesAt, killed: scene.killed })).toEqual(
    [],
  );
  return played;
}

describe.each([
  ['snapshots', false],
  ['clones', true],
] as const)('a group of %s', (_, isCloned) => {
  test('whose guest is resumed, and stopped again, at any instant of its pause', async () => {
    const { pauses } = await holds(groupOf(isCloned));
    const [from = 0, to = 0] = [pauses[0]?.atMs, pauses.at(-1)?.atMs];
    const ends = new Set<string | undefined>();
    for (const forMs of RUNS_MS)
      for (const ms of range(from - 1, to + 2, STEP_MS))
        ends.add((await holds(groupOf(isCloned, resumedAt(ms, forMs)))).decided);
    expect(ends).toEqual(new Set(['committed', 'rolledBack']));
  });

  test.each([
    ['', []],
    [', and whose QEMU dies', [0]],
  ])(
    'whose guest is resumed, and stopped again, when its process has died in the pause%s',
    async (_end, killed) => {
      const { pauses, stage } = await holds(groupOf(isCloned));
      const faults = resumedAt((pauses.at(-1)?.atMs ?? 0) + DEAD_MS, 0.5);
      const [first, last] = [stage.sent.indexOf('stop'), stage.moments - 10];
      for (const diesAt of range(first, last, DEATHS_EVERY))
        await holds({ ...groupOf(isCloned, faults), diesAt, restMs: REST_MS, killed });
    },
  );
});
