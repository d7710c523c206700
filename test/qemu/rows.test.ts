/** Every rule of libvirt's block calls that a real QEMU can show; `npm run rows` prints them as a table. */
import { expect, test } from 'vitest';
import { groupsOf, playOnReal } from '../rows/play-on-real.ts';
import type { Row } from '../rows/row.ts';
import { ROWS } from '../rows/rows.ts';
import { covering, isFull } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu("libvirt's block calls", () => {
  const groups = isFull ? groupsOf(ROWS) : covering(groupsOf(ROWS), ({ rows }) => rows.flatMap(marksOf));

  test.each(groups)('$title', async ({ rows }) => {
    for (const { row, verdict } of await playOnReal(rows)) {
      expect(verdict, `${row.id}: ${row.says}`).toEqual({ verdict: 'passed' });
    }
  });
});

/** What rows differ in: the call, the guest, how the job ends, what comes of it. The simulator plays every row in both tiers. */
function marksOf({ id, chain, profile, domain, set, end, expect: { error, errno } }: Row): readonly string[] {
  const call = id.replace(/\d.*/, '');
  return Object.entries({ call, chain, profile, domain, set, end, error, errno }).map(
    ([column, value]) => `${column} ${JSON.stringify(value)}`,
  );
}
