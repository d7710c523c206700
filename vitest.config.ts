import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest is begun first, so that nothing is left to run alone at the end. */
const LONGEST = ['rows', 'older-ways', 'torture', 'copy-pivot', 'failures-killed', 'failures-lost-line'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex(name => moduleId.endsWith(`/test/qemu/${name}.test.ts`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // More than two processors: guests and dead QEMUs are mostly waited for.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/qemu/**'] } },
      { test: { name: 'properties', include: ['property-tests/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: {
          name: 'qemu',
          include: ['test/qemu/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
