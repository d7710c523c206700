/** Every rule of libvirt's block calls that a real QEMU can show; `npm run rows` prints them as a table. */
import { expect, test } from 'vitest';
import { groupsOf, playOnReal } from '../rows/play-on-real.ts';
import { ROWS } from '../rows/rows.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu("libvirt's block calls", () => {
  const groups = groupsOf(ROWS);

  test.each(groups)('$title', async ({ rows }) => {
    for (const { row, verdict } of await playOnReal(rows)) {
      expect(verdict, `${row.id}: ${row.says}`).toEqual({ verdict: 'passed' });
    }
  });
});
