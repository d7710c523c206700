/**
 * What a guest's own shutdown does to QEMU, as the simulator's faults have it: one that runs is stopped for good, and what a guest asks for
 * when it is stopped already is told and stops nothing.
 */
import { expect, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { onEachVersion } from './each-version.ts';

/** The guest asks for it by a write to its power management's port (PIIX4, as SeaBIOS sets it up), which the monitor does for it. */
const SHUT_DOWN = { 'command-line': 'o /h 0x604 0x2000' };

onEachVersion((qemu, version) => {
  test(`QEMU ${version} leaves a paused guest paused that shuts down, and resumes it`, async () => {
    await using vm = await startGuestVm({
      ...{ disks: 1, qemu, bios: 'seabios' },
      extraArguments: ['-no-shutdown'],
    });
    const { witness } = vm;
    const status = async () =>
      ((await witness.execute('query-status')) as { readonly status: string }).status;
    await vm.awaitWrites(2);
    await witness.execute('stop');
    await witness.execute('human-monitor-command', SHUT_DOWN);
    expect(await status()).toBe('paused');
    await witness.execute('cont');
    await vm.awaitWrites(2);
    await witness.execute('human-monitor-command', SHUT_DOWN);
    await expect.poll(status).toBe('shutdown');
  });
});
