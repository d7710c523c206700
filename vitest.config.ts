import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // More than two processors: guests and dead QEMUs are mostly waited for.
    maxWorkers: 3,
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
