/** Rejections that no caller has waited for, while a test runs; the runner's own listener would fail the run instead. */
import { afterEach, beforeEach } from 'vitest';

/** What has come, emptied before each test of the file or suite that asks for it. */
export function unhandledRejections(): readonly unknown[] {
  const unhandled: unknown[] = [];
  const hear = (reason: unknown) => void unhandled.push(reason);
  let others: readonly NodeJS.UnhandledRejectionListener[] = [];
  beforeEach(() => {
    unhandled.length = 0;
    others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', hear);
  });
  afterEach(() => {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  });
  return unhandled;
}
