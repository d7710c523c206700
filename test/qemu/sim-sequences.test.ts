/**
 * The simulator against real QEMUs, every member of every reply, each event and what QEMU prints: sequences of commands, kept as
 * data by command in test/conformance/sequences. Each is played on one version, in turn, and on all in the full tier.
 */

import { describe, expect, test } from 'vitest';
import { fetchedQemus, QEMU_VERSIONS, type QemuVersion } from '../../scripts/qemu-versions.ts';
import { type FullAccount, playInFull } from '../conformance/in-full.ts';
import type { Sequence } from '../conformance/sequence.ts';
import { ARGUMENTS } from '../conformance/sequences/arguments.ts';
import { BACKUP } from '../conformance/sequences/backup.ts';
import { BACKUP_GROUPS } from '../conformance/sequences/backup-groups.ts';
import { BITMAPS } from '../conformance/sequences/bitmaps.ts';
import { CREATE } from '../conformance/sequences/create.ts';
import { NULL_CO } from '../conformance/sequences/null-co.ts';
import { QEMU_IO } from '../conformance/sequences/qemu-io.ts';
import { realSession, type Session, simSession } from '../sim/raw-session.ts';
import { byOne } from '../tiers/tier.ts';

const SEQUENCES = { ARGUMENTS, BACKUP, BACKUP_GROUPS, BITMAPS, CREATE, NULL_CO, QEMU_IO };

const isPlayed = byOne(fetchedQemus().map(({ version }) => version));

test('a QEMU is there to compare with', () => {
  expect(QEMU_VERSIONS).toEqual(expect.arrayContaining(fetchedQemus().map(({ version }) => version)));
  expect(fetchedQemus()).not.toEqual([]);
});

describe.each(Object.entries(SEQUENCES))('%s', (_command, sequences) => {
  for (const sequence of sequences) {
    for (const { version, binary } of fetchedQemus()) {
      const isAble = (one: QemuVersion) => sequence.without?.includes(one) !== true;
      if (!isPlayed(version, sequence.title, isAble)) continue;
      test(`${sequence.title}: the simulator and QEMU ${version} answer alike`, async () => {
        const options = { disks: sequence.disks ?? 1, backingLayers: sequence.backingLayers ?? 0 };
        const real = await accountOf(await realSession({ ...options, idle: true, qemu: binary }), sequence);
        const sim = await accountOf(await simSession({ ...options, profile: version }), sequence);
        expect(sim.replies).toEqual(real.replies);
        expect(sim).toEqual(real);
      });
    }
  }
});

async function accountOf(session: Session, sequence: Sequence): Promise<FullAccount> {
  try {
    return await playInFull(session, sequence);
  } finally {
    await session.close();
  }
}
