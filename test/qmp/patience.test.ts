/** What a deadline counts: silence that could have been heard, and nothing else. */
import { describe, expect, test } from 'vitest';
import { startPatience } from '../../src/qmp/patience.ts';
import { repeatUntil } from '../../src/qmp/until.ts';
import { ManualClock } from './manual-clock.ts';

const DEADLINE_MS = 15_000;

/** A machine whose event loop is given a turn only when `run` is called, however much time has passed. */
class Machine extends ManualClock {
  #stoodMs = 0;

  override now(): number {
    return super.now() + this.#stoodMs;
  }

  /** Time in which nothing runs: timers are late by it. */
  standStill(ms: number): void {
    this.#stoodMs += ms;
  }
}

function waiting(clock: ManualClock) {
  const wait = { passed: false, heardMs: Number.NEGATIVE_INFINITY };
  const patience = startPatience({ clock, deadlineMs: DEADLINE_MS, heardMs: () => wait.heardMs }, () => {
    wait.passed = true;
  });
  const heard = () => {
    wait.heardMs = clock.now();
  };
  return { wait, patience, heard };
}

describe('a deadline', () => {
  test('passes after that much silence, once', async () => {
    const clock = new ManualClock();
    const { wait } = waiting(clock);
    await clock.advance(DEADLINE_MS - 1);
    expect(wait.passed).toBe(false);
    await clock.advance(1);
    expect(wait.passed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('counts a machine that was suspended as one moment', async () => {
    const clock = new Machine();
    const { wait } = waiting(clock);
    for (let hour = 0; hour < 10; hour += 1) {
      await clock.advance(100);
      clock.standStill(3_600_000);
    }
    await clock.advance(10_000);
    expect(wait.passed).toBe(false);
    await clock.advance(DEADLINE_MS);
    expect(wait.passed).toBe(true);
  });

  test('begins anew with each sign of life', async () => {
    const clock = new ManualClock();
    const { wait, heard } = waiting(clock);
    await clock.advance(DEADLINE_MS - 1);
    heard();
    await clock.advance(DEADLINE_MS - 1);
    expect(wait.passed).toBe(false);
    await clock.advance(1);
    expect(wait.passed).toBe(true);
  });

  test('is not put off for ever by one that talks and does not answer', async () => {
    const clock = new ManualClock();
    const { wait, heard } = waiting(clock);
    for (let ms = 0; ms < DEADLINE_MS * 4; ms += 500) {
      expect(wait.passed).toBe(false);
      heard();
      await clock.advance(500);
    }
    await clock.advance(0);
    expect(wait.passed).toBe(true);
  });

  test('is put off for as long as there is progress', async () => {
    const clock = new ManualClock();
    const { wait, patience } = waiting(clock);
    for (let turn = 0; turn < 20; turn += 1) {
      await clock.advance(DEADLINE_MS - 1);
      patience.progress();
    }
    expect(wait.passed).toBe(false);
    patience.cancel();
    await clock.advance(DEADLINE_MS * 10);
    expect(wait.passed).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('gives what has arrived a turn before it passes', async () => {
    const clock = new Machine();
    const { wait, heard } = waiting(clock);
    await clock.advance(DEADLINE_MS - 1);
    clock.standStill(60_000);
    clock.after(1, heard); // timers run before sockets are read: this one stands for the socket
    await clock.advance(1);
    expect(wait.passed).toBe(false);
  });
});

describe('a wait', () => {
  const connection = (clock: ManualClock) => ({ clock, watch: () => () => {}, assertOpen: () => {} });
  const never = async () => undefined;

  test('does not count a machine that was suspended', async () => {
    const clock = new Machine();
    let settled = false;
    const end = repeatUntil(connection(clock), 'it', never, { wakeOn: [], deadlineMs: DEADLINE_MS });
    const rejection = expect(end).rejects.toMatchObject({ code: 'DEADLINE' });
    end.catch(() => {
      settled = true;
    });
    await clock.advance(1_000);
    clock.standStill(3_600_000);
    await clock.advance(DEADLINE_MS - 2_000);
    expect(settled).toBe(false);
    await clock.advance(2_000);
    await rejection;
  });

  test('for what bounds the pause of the guest counts all of it', async () => {
    const clock = new Machine();
    const options = { wakeOn: [], deadlineMs: 500, byWallClock: true };
    const end = expect(repeatUntil(connection(clock), 'it', never, options)).rejects.toMatchObject({
      code: 'DEADLINE',
    });
    await clock.advance(100);
    clock.standStill(400);
    await clock.advance(400);
    await end;
  });
});
