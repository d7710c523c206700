/** A saga that ends while what it is asked is still on its way to the disk. */
import { expect, test, vi } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { createSim } from '../../src/sim/index.ts';

test('takes no more, and says nothing of it on standard error', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const sim = createSim({ disks: 1 });
  const bare = memoryJournal();
  const written = Promise.withResolvers<void>();
  const journal: Journal = Object.create(bare, {
    append: {
      value: async (...given: Parameters<Journal['append']>) => {
        await bare.append(...given);
        if (given[1].some(record => record.kind === 'signal')) await written.promise;
      },
    },
  });
  const engine = createEngine({ journal, clock: sim.clock });
  const disks = [{ disk: 'disk0', overlay: '/images/a.qcow2' }];
  const saga = await sim.run(engine.snapshot({ qmp: sim.connect, files: sim.files, disks }));
  const asked = Promise.withResolvers<unknown>();
  saga.subscribe(notice => {
    if (!JSON.stringify(notice).includes('cleaningUp')) return;
    asked.resolve(saga.abort().catch((error: unknown) => error));
  });
  await sim.run(saga.result);
  written.resolve();
  await sim.run(asked.promise);
  expect(warned).not.toHaveBeenCalled();
  warned.mockRestore();
});
