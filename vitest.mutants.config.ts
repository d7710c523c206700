/** The tests that `npm run mutants` plays against each mutant: fast ones on the simulator, which reach the steps it changes. */
import { defineConfig } from 'vitest/config';

const HUNG_MS = 60_000;

export default defineConfig({
  test: {
    testTimeout: HUNG_MS,
    bail: 1,
    include: [
      'test/steps/**/*.test.ts',
      'test/engine/{deaths,old-versions,speed,strangers,unplugged,window}.test.ts',
      'property-tests/{deaths,pause-bound,strangers,undo}.test.ts',
    ],
    setupFiles: ['property-tests/same-draw.ts'],
  },
});
