import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest is begun first, so that nothing is left to run alone at the end: the slowest of a whole quick run, in order. */
const LONGEST = [
  'overlays-above right-files-offline real-agent revert-iothreads storage-daemon-deaths backend-operations snapshot-quiesce unplug',
  'offline-behind backend rows snapshot-mirror-cli torture demo copy-options older-ways cli own-filters encrypted snapshot-mirror',
  'copy-pivot failures-killed copy-finish versions merge-versions unprintable readme-examples plan-holds ordered-writer asked',
].flatMap(names => names.split(' '));

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex(name => moduleId.endsWith(`/test/qemu/${name}.test.ts`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/**
 * For what never ends. Tests of behaviour have no deadlines of their own (test/tidy.test.ts sees to it): on a machine with
 * something else to do, only these are to pass.
 */
const PATIENCE = {
  testTimeout: 600_000,
  hookTimeout: 300_000,
  expect: { poll: { timeout: 120_000, interval: 20 } },
};

/** What changes modules for itself needs a process of its own; all others share one, which loads the modules once for many files. */
const NEEDS_ALONE = /\bvi\.(mock|doMock|resetModules)\(/;
const alone = globSync('{test,property-tests}/**/*.test.ts', { cwd: import.meta.dirname }).filter(file =>
  NEEDS_ALONE.test(readFileSync(join(import.meta.dirname, file), 'utf8')),
);

/** One process plays many files, one after another, and what one of them has replaced is put back in front of each test. */
const SHARED = { isolate: false, restoreMocks: true, unstubEnvs: true, unstubGlobals: true };
const before = ['test/tiers/as-a-new-process.ts'];
const counted = process.env['BLOCKSAGA_TIMES'] === undefined ? [] : ['test/tiers/count-spent.ts'];

export default defineConfig({
  test: {
    // More than two processors: guests, which rest between their writes, and dead QEMUs are mostly waited for.
    maxWorkers: 6,
    globalSetup: ['test/compiled-once.ts', 'test/nothing-stays.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          ...PATIENCE,
          ...SHARED,
          setupFiles: [...before, ...counted],
          include: ['test/**/*.test.ts'],
          exclude: ['test/qemu/**', ...alone],
        },
      },
      {
        test: {
          name: 'properties',
          ...PATIENCE,
          ...SHARED,
          include: ['property-tests/**/*.test.ts'],
          exclude: alone,
          setupFiles: ['property-tests/same-draw.ts', ...before, ...counted],
        },
      },
      {
        test: {
          name: 'alone',
          ...PATIENCE,
          include: alone,
          setupFiles: ['property-tests/same-draw.ts', ...counted],
        },
      },
      // A real Chromium, over the simulator and over a real QEMU.
      {
        test: {
          name: 'browser',
          ...PATIENCE,
          ...SHARED,
          setupFiles: [...before, ...counted],
          include: ['browser-tests/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'qemu',
          ...PATIENCE,
          ...SHARED,
          setupFiles: [...before, ...counted],
          include: ['test/qemu/**/*.test.ts'],
          exclude: alone,
        },
      },
    ],
  },
});
