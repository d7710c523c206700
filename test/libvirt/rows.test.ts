/** Every rule of libvirt's block calls on the simulator; `npm run rows` prints them as a table. */
import { describe, expect, test } from 'vitest';
import { PROFILE_NAMES } from '../../src/sim/state/profiles.ts';
import { isForSim, playOnSim } from '../rows/play-on-sim.ts';
import { ROWS } from '../rows/rows.ts';
import { strides } from '../tiers/tier.ts';

/** Versions that lack what some rows need, and say so by a refusal. */
const LACKING: ReadonlySet<string> = new Set(['1.0', '1.1', '1.3', '2.4', '2.12', '3.1']);
const PLAYED = ROWS.filter(isForSim);
/** In the quick tier each version plays every sixth row, beginning with another one; 7.2 plays all. */
const some = strides(6);

describe('a rule', () => {
  test.each(PLAYED)('holds on a simulated QEMU 7.2: $id: $says', async row => {
    expect(await playOnSim(row, '7.2')).toEqual({ verdict: 'passed' });
  });

  test.each(PROFILE_NAMES)('holds on a simulated QEMU %s, or is said to need more', async profile => {
    for (const nth of some(PLAYED.length)) {
      const row = PLAYED[nth - 1];
      expect.assert(row !== undefined);
      const { verdict, ...rest } = await playOnSim(row, profile);
      const wanted = LACKING.has(profile) ? ['passed', 'cannot'] : ['passed'];
      expect(verdict, `${row.id}: ${JSON.stringify(rest)}`).toBeOneOf(wanted);
    }
  });

  test('is built, or says what is missing or why it is about nothing here; and has an id of its own', () => {
    for (const { id, call, missing, notApplicable } of ROWS) {
      expect(
        [call, missing, notApplicable].filter(each => each !== undefined),
        id,
      ).toHaveLength(1);
    }
    expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length);
  });
});
