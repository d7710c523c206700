import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The slowest of what waits for guests, programs and pages, in a whole quick run, in order. */
const LONGEST = [
  'real-agent snapshot-quiesce storage-daemon-deaths fleet backend-operations hostile page demo older-ways right-files-offline',
  'sim-sequences failures-killed overlays-above offline-behind revert-iothreads merge-offline backend merge-versions wire cli',
  'own-filters encrypted rows replies-lost targets-hang laboratory asked sim-agrees failures-at-switch resume commit-offline unplug hosts',
].flatMap(names => names.split(' '));

const WAITS = /\/(?:test\/qemu|browser-tests)\/([^/]+)\.test\.ts$/;

/**
 * First what needs a process of its own. Then files that wait and files that compute, evenly mixed, so that processors are never
 * left without work; of each kind the longest first, so that nothing is left to run alone at the end.
 */
class Mixed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isolated = sorted.filter(({ project }) => project.config.isolate);
    const shared = sorted.filter(({ project }) => !project.config.isolate);
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.indexOf(WAITS.exec(moduleId)?.[1] ?? '');
      return at === -1 ? LONGEST.length : at;
    };
    const waiting = shared
      .filter(({ moduleId }) => WAITS.test(moduleId))
      .toSorted((a, b) => rank(a) - rank(b));
    const computing = shared.filter(({ moduleId }) => !WAITS.test(moduleId));
    const spread = (all: readonly TestSpecification[]) =>
      all.map((file, at) => ({ file, at: at / all.length }));
    const mixed = [...spread(waiting), ...spread(computing)].toSorted((a, b) => a.at - b.at);
    return [...isolated, ...mixed.map(({ file }) => file)];
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

const counted = process.env['BLOCKSAGA_TIMES'] === undefined ? [] : ['test/tiers/count-spent.ts'];
const drawn = ['property-tests/same-draw.ts', ...counted];
/** One process plays many files, one after another, and what one of them has replaced is put back in front of each test. */
const shared = {
  ...PATIENCE,
  ...{ isolate: false, restoreMocks: true, unstubEnvs: true, unstubGlobals: true },
  setupFiles: ['test/tiers/as-a-new-process.ts', ...drawn],
  exclude: alone,
};

/** By their names, for `--project`. A real Chromium, in `browser`, is over the simulator and over a real QEMU. */
const PARTS = {
  unit: { include: ['test/**/*.test.ts'], exclude: ['test/qemu/**', ...alone] },
  properties: { include: ['property-tests/**/*.test.ts'] },
  browser: { include: ['browser-tests/**/*.test.ts'] },
  qemu: { include: ['test/qemu/**/*.test.ts'] },
};

/**
 * A process takes files of one project only, and is as fast as it can be after some seconds. So all parts are one project,
 * unless some are asked for.
 */
const parts = process.argv.some(argument => argument.startsWith('--project'))
  ? Object.entries(PARTS).map(([name, files]) => ({ test: { name, ...shared, ...files } }))
  : [
      {
        test: {
          name: 'together',
          ...shared,
          include: Object.values(PARTS).flatMap(({ include }) => include),
        },
      },
    ];

export default defineConfig({
  test: {
    // More than two processors: guests, which rest between their writes, and dead QEMUs are mostly waited for.
    maxWorkers: 5,
    // What is played at the same time within a file waits for QEMUs and agents that do not answer.
    maxConcurrency: 8,
    globalSetup: ['test/compiled-once.ts', 'test/nothing-stays.ts'],
    sequence: { sequencer: Mixed },
    projects: [{ test: { name: 'alone', ...PATIENCE, include: alone, setupFiles: drawn } }, ...parts],
  },
});
