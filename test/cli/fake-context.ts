/**
 * A world for one command: output is kept, interrupts come when the test says so. It injects no faults; `leave` throws
 * instead of ending the process.
 */

import type { CliContext } from '../../src/cli/print/context.ts';
import { systemClock } from '../../src/qmp/clock.ts';

export interface FakeContext extends CliContext {
  readonly out: readonly string[];
  readonly err: readonly string[];
  interrupt(): void;
}

export function fakeContext(overrides: Partial<CliContext> = {}): FakeContext {
  const out: string[] = [];
  const err: string[] = [];
  const listeners = new Set<() => void>();
  return {
    write: line => void out.push(line),
    complain: line => void err.push(line),
    interactive: false,
    columns: () => 100,
    env: {},
    directory: '/desk',
    clock: systemClock,
    onInterrupt(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    leave(status) {
      throw new Error(`left with ${status}`);
    },
    ...overrides,
    out,
    err,
    interrupt() {
      for (const listener of listeners) listener();
    },
  };
}
