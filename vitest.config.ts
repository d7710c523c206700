import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest is begun first, so that nothing is left to run alone at the end. */
const LONGEST =
  'torture snapshot-quiesce encrypted rows failures-killed older-ways asked backend cli commit-offline unprintable demo merge-offline targets-hang'.split(
    ' ',
  );

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

const counted = process.env['BLOCKSAGA_TIMES'] === undefined ? [] : ['test/tiers/count-spent.ts'];

export default defineConfig({
  test: {
    // More than two processors: guests and dead QEMUs are mostly waited for.
    maxWorkers: 4,
    globalSetup: ['test/compiled-once.ts', 'test/nothing-stays.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          ...PATIENCE,
          setupFiles: counted,
          include: ['test/**/*.test.ts'],
          exclude: ['test/qemu/**'],
        },
      },
      {
        test: {
          name: 'properties',
          ...PATIENCE,
          include: ['property-tests/**/*.test.ts'],
          setupFiles: ['property-tests/same-draw.ts', ...counted],
        },
      },
      // A real Chromium, over the simulator and over a real QEMU.
      {
        test: { name: 'browser', ...PATIENCE, setupFiles: counted, include: ['browser-tests/**/*.test.ts'] },
      },
      { test: { name: 'qemu', ...PATIENCE, setupFiles: counted, include: ['test/qemu/**/*.test.ts'] } },
    ],
  },
});
