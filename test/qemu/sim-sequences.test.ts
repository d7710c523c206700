/**
 * The simulator against real QEMUs, every member of every reply, each event and what QEMU prints: sequences of commands, kept as
 * data by command in test/conformance/sequences. Each is played on one version, in turn, and on all in the full tier; one that another
 * one begins with is played there alone.
 */

import { describe, expect, test } from 'vitest';
import type { QemuVersion } from '../../scripts/qemu-versions.ts';
import { type FullAccount, playInFull } from '../conformance/in-full.ts';
import type { Sequence } from '../conformance/sequence.ts';
import { ARGUMENTS } from '../conformance/sequences/arguments.ts';
import { BACKUP } from '../conformance/sequences/backup.ts';
import { BACKUP_GROUPS } from '../conformance/sequences/backup-groups.ts';
import { BITMAPS } from '../conformance/sequences/bitmaps.ts';
import { CREATE } from '../conformance/sequences/create.ts';
import { ENCRYPTION } from '../conformance/sequences/encryption.ts';
import { NULL_CO } from '../conformance/sequences/null-co.ts';
import { QEMU_IO } from '../conformance/sequences/qemu-io.ts';
import { realSession, type Session, type SessionOptions, simSession } from '../sim/raw-session.ts';
import { byOne, isFull } from '../tiers/tier.ts';
import { qemusAtHand } from './at-hand.ts';
import { describeOnQemu } from './real-qemu.ts';

const SEQUENCES = { ARGUMENTS, BACKUP, BACKUP_GROUPS, BITMAPS, CREATE, ENCRYPTION, NULL_CO, QEMU_IO };

const qemus = qemusAtHand();
const isPlayed = byOne(qemus.map(({ version }) => version));

describeOnQemu('the simulator and a real QEMU answer alike, member by member', () => {
  test('of a version that is simulated', () => {
    expect(qemus).not.toEqual([]);
  });

  describe.each(Object.entries(SEQUENCES))('%s', (_command, sequences) => {
    for (const sequence of sequences) {
      for (const { version, binary } of qemus) {
        const isAble = (one: QemuVersion) => sequence.without?.includes(one) !== true;
        if (sequence.begins !== undefined && !isFull) continue;
        if (!isPlayed(version, sequence.title, isAble)) continue;
        test(`${sequence.title}: ${version}`, async () => {
          const options = { disks: sequence.disks ?? 1, backingLayers: sequence.backingLayers ?? 0 };
          const real = await accountOfReal({ ...options, qemu: binary }, sequence);
          const sim = await accountOf(await simSession({ ...options, profile: version }), sequence);
          expect(sim.replies).toEqual(real.replies);
          expect(sim).toEqual(real);
        });
      }
    }
  });
});

/** QEMU cannot make a key, by chance, where the kernel counts its processor time in ticks: such an account is no measure. */
const NO_KEY = 'Unable to get accurate CPU usage';
const TRIES = 8;

async function accountOfReal(options: SessionOptions, sequence: Sequence): Promise<FullAccount> {
  for (let left = TRIES; ; left -= 1) {
    const account = await accountOf(await realSession(options), sequence);
    if (left === 1 || !account.replies.some(reply => reply.includes(NO_KEY))) return account;
  }
}

async function accountOf(session: Session, sequence: Sequence): Promise<FullAccount> {
  try {
    return await playInFull(session, sequence);
  } finally {
    await session.close();
  }
}
