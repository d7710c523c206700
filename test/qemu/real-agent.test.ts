/**
 * Quiescing with Debian's own guest agent in a real Linux, on ext4 and xfs that are written to all the time: the images hold file
 * systems that check clean as they are. Run where `node scripts/fetch-linux-guest.ts` has put the guest.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { linuxGuestAtHand } from '../../scripts/linux-guest.ts';
import { localFiles } from '../../src/images/local-files.ts';
import { createEngine, memoryJournal, type SagaResult } from '../../src/index.ts';
import { impatient } from './impatient.ts';
import { LinuxGuest } from './linux-guest.ts';
import { Tap } from './tapped.ts';
import { explain } from './witnessed.ts';

const HOOK_S = 4;
const files = linuxGuestAtHand();
const title = 'a Linux guest with its agent';
if (files === undefined) console.warn(`NOT RUN: ${title} (node scripts/fetch-linux-guest.ts)`);

describe.runIf(files)(title, () => {
  const journal = memoryJournal();
  const engine = createEngine({ journal });
  let guest: LinuxGuest;
  let images = 0;

  beforeAll(async () => {
    if (files !== undefined) guest = await LinuxGuest.start(files);
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  const newImage = (at: number) => join(guest.directory, `new${images}-${at}.qcow2`);
  const tapped = (tap: Tap) => ({ qmp: tap.connect, vm: guest.monitor, files: localFiles });
  const common = (tap: Tap) => ({ ...tapped(tap), quiesce: guest.agent });

  async function snapshot(more: object = {}, tap = new Tap(guest.monitor), by = engine): Promise<SagaResult> {
    images += 1;
    const disks = guest.devices.map((disk, at) => ({ disk, overlay: newImage(at) }));
    return (await by.snapshot({ ...common(tap), disks, ...more })).result;
  }

  /** Both writers go on: nothing is frozen. */
  async function expectThawed(): Promise<void> {
    for (const at of [0, 1]) {
      const before = await guest.written(at);
      await expect.poll(() => guest.written(at)).toBeGreaterThan(before + 1);
    }
  }

  async function expectClean(ext4: string, xfs: string, written: number): Promise<void> {
    const checks = [await guest.check(0, ext4), await guest.check(1, xfs)];
    const said = checks.map(check => check.said).join('\n');
    expect(checks, said).toMatchObject([{ isConsistent: true, needsReplay: false }, { isConsistent: true }]);
    expect(await guest.countIn(ext4)).toBeGreaterThanOrEqual(written);
  }

  test('snapshots without it leave a journal to be replayed', async () => {
    await expectThawed();
    const result = await snapshot({ quiesce: undefined });
    expect(result.outcome, explain(result)).toBe('committed');
    expect(await guest.check(0, guest.image(0))).toMatchObject({ needsReplay: true });
  });

  test('quiesced snapshots leave file systems that are clean, with every flushed write', async () => {
    const [ext4 = '', xfs = ''] = [0, 1].map(newImage); // in front until then
    await expectThawed();
    const written = await guest.written(0);
    const result = await snapshot();
    expect(result.outcome, explain(result)).toBe('committed');
    await expectClean(ext4, xfs, written);
    await expectThawed();
  });

  test('quiesced clones are clean too', async () => {
    const tap = new Tap(guest.monitor);
    images += 1;
    const disks = guest.devices.map((disk, at) => ({ disk, to: newImage(at) }));
    const written = await guest.written(0);
    const result = await (await engine.copy({ ...common(tap), disks, finish: 'clone' })).result;
    expect(result.outcome, explain(result)).toBe('committed');
    await expectClean(newImage(0), newImage(1), written);
    await expectThawed();
  });

  test('a slow freeze hook is waited for, and the guest is not paused meanwhile', async () => {
    await guest.killAgent();
    await guest.startAgent(`sleep ${HOOK_S}`);
    const result = await snapshot();
    expect(result.outcome, explain(result)).toBe('committed');
    expect(result.blackoutMs ?? 0).toBeLessThan(HOOK_S * 1_000);
    await expectThawed();
  });

  test('a freeze hook that fails takes the snapshot back, and nothing stays frozen', async () => {
    await guest.killAgent();
    await guest.startAgent('[ "$1" != freeze ]');
    const result = await snapshot();
    expect(result, explain(result)).toMatchObject({
      ...{ outcome: 'rolledBack', leftovers: [] },
      error: { code: 'QMP_COMMAND', step: 'freezeGuest' },
    });
    await expectThawed();
    await guest.killAgent();
    await guest.startAgent();
  });

  test('an agent that is killed while all is frozen leaves the saga open until there is one that thaws', async () => {
    const tap = new Tap(guest.monitor);
    tap.before('transaction', () => guest.killAgent());
    const result = await snapshot({ id: 'killed' }, tap, createEngine({ journal, clock: impatient }));
    expect(result, explain(result)).toMatchObject({ outcome: 'needsRecovery', error: { step: 'thawGuest' } });
    await guest.startAgent();
    const resumed = await (await engine.resume('killed', tapped(tap))).result;
    expect(resumed.outcome, explain(resumed)).toBe('committed');
    await expectThawed();
  });
});
