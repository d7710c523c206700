/** Limits over the sagas of two real guests: what QEMU's own jobs show of them. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, type Engine, type LimitOptions, memoryJournal, type Saga } from '../../src/index.ts';
import { PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

/** A base of 1 MiB lies below each disk: a copy takes seconds at this. */
const BYTES_PER_SECOND = 256 * 1024;

class TwoGuests {
  readonly engine: Engine;
  readonly #vms: readonly GuestVm[];

  private constructor(vms: readonly GuestVm[], limits: LimitOptions) {
    this.#vms = vms;
    this.engine = createEngine({ journal: memoryJournal(), limits });
  }

  static async start(limits: LimitOptions): Promise<TwoGuests> {
    const start = () =>
      startGuestVm({ disks: 1, sizeBytes: 16 * 1024 * 1024, backing: true, pacingUs: PACING_US });
    return new TwoGuests([await start(), await start()], limits);
  }

  copy(guest: 0 | 1, more: { readonly bandwidth?: number } = {}): Promise<Saga> {
    const vm = this.#of(guest);
    const disks = [{ disk: 'dev0', to: join(vm.directory, 'new.qcow2') }];
    return this.engine.copy({ qmp: vm.monitor, disks, finish: 'leave', ...more });
  }

  /** The speed of each mirror that this QEMU runs. */
  async speeds(guest: 0 | 1): Promise<readonly unknown[]> {
    const jobs = (await this.#of(guest).witness.execute('query-block-jobs')) as readonly { speed: number }[];
    return jobs.map(({ speed }) => speed);
  }

  #of(guest: 0 | 1): GuestVm {
    const vm = this.#vms[guest];
    if (vm === undefined) throw new Error(`there are two guests, and no ${guest}`);
    return vm;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const vm of this.#vms) await vm[Symbol.asyncDispose]();
  }
}

describeOnQemu('limits over all sagas', () => {
  test('bandwidth is shared by the mirrors of both guests, and falls to the one that is left', async () => {
    await using on = await TwoGuests.start({ all: { bandwidth: BYTES_PER_SECOND } });
    const first = await on.copy(0);
    await expect.poll(() => on.speeds(0)).toEqual([BYTES_PER_SECOND]);
    const second = await on.copy(1);
    const half = [BYTES_PER_SECOND / 2];
    await expect.poll(async () => [await on.speeds(0), await on.speeds(1)]).toEqual([half, half]);
    expect(await first.abort()).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    await expect.poll(() => on.speeds(1)).toEqual([BYTES_PER_SECOND]);
    expect(await second.abort()).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
  });

  test('of two guests with one copy at once the second has no mirror until the first is ready', async () => {
    await using on = await TwoGuests.start({ all: { copies: 1 } });
    const first = await on.copy(0, { bandwidth: BYTES_PER_SECOND });
    await expect.poll(() => on.speeds(0)).toEqual([BYTES_PER_SECOND]);
    const second = await on.copy(1);
    const phases: string[] = [];
    second.subscribe(({ phase }) => phases.push(phase));
    await expect.poll(() => phases.at(-1)).toBe('queued');
    expect(await on.speeds(1)).toEqual([]);
    await first.setSpeed(0);
    await first.until('ready');
    await second.until('ready');
    expect(await on.speeds(1)).toHaveLength(1);
    const results = [await first.pivot(), await second.pivot()];
    expect(results.map(({ outcome }) => outcome)).toEqual(['committed', 'committed']);
  });
});
