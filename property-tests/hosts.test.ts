/** The laws of groups over two hosts: drawn guests, faults, deaths and a wire that loses, doubles and delays. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { often } from '../test/tiers/tier.ts';
import { judgeGroup } from './group-laws.ts';
import { type HostsScene, hostsScenes, playHosts } from './hosts-scene.ts';

const RUNS = Number(process.env['GROUP_RUNS'] ?? often(60, 120));

test('a group on two hosts is one of all guests or of none, whatever fails between them, and whichever process dies', async () => {
  await fc.assert(
    fc.asyncProperty(hostsScenes, async scene => {
      expect(judgeGroup(await playHosts(scene))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

describe('clones of guests on two hosts that copy for an hour', () => {
  const SLOW: HostsScene = {
    ...{ guests: [{ disks: 1 }, { disks: 1 }], isCloned: true, bandwidth: 16, following: [1] },
    ...{ diesAt: null, followerDiesAt: null, abortAt: null, order: [0, 1], killed: [], wire: [] },
  };
  const play = async (change: Partial<HostsScene>) => {
    const played = await playHosts({ ...SLOW, ...change });
    expect(judgeGroup(played)).toEqual([]);
    return { decided: played.decided, told: played.told, tookMs: played.stage.clock.now() };
  };

  test.each<[string, HostsScene['wire']]>([
    ['nothing is amiss', []],
    ...(['loseRequest', 'loseAnswer', 'cut', 'twice', 'late'] as const).map(
      (kind): [string, HostsScene['wire']] => [kind, [3, 4, 100].map(nth => ({ nth, kind, ms: 9_000 }))],
    ),
  ])('all stand, whatever becomes of questions meanwhile: %s', async (_, wire) => {
    const { decided, told, tookMs } = await play({ wire });
    expect({ decided, told }).toEqual({ decided: 'committed', told: 'committed' });
    expect(tookMs).toBeGreaterThan(60 * 60_000);
  });

  test.each([
    ['the process that leads dies', { diesAt: 70 }],
    ['the process that follows dies', { followerDiesAt: 70 }],
    ['a member is aborted', { abortAt: 70 }],
    ['a member of the host that follows is aborted', { abortAt: 70, order: [1, 0] }],
    [
      'the hosts hear nothing of one another',
      { wire: range(4, 40).map(nth => ({ nth, kind: 'loseRequest' as const, ms: 0 })) },
    ],
  ])('are all given up within minutes where %s', async (_, change) => {
    const { decided, tookMs } = await play(change);
    expect(decided).not.toBe('committed');
    expect(tookMs).toBeLessThan(5 * 60_000);
  });
});

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}
