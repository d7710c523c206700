/**
 * Tells a reply that is lost from a QEMU that is slow or hangs: QEMU answers one command after the other (docs/interop/qmp-spec.rst,
 * "the client therefore receives command responses in issue order"), so that where a question that was sent later is answered
 * first, no reply to the earlier command comes any more. Where neither is answered, QEMU hangs, and is waited for.
 */
import type { Clock } from './clock.ts';
import type { Reply } from './commands.ts';
import type { Entered } from './in-flight.ts';

/** What every QEMU answers at once, whatever state it is in, and what changes nothing. */
export const SOUNDING = [{ execute: 'query-status' }] as const;

export interface SoundingOptions {
  readonly clock: Clock;
  /** How long nothing has come when it is asked for the first time, in milliseconds. */
  readonly afterMs: number;
  readonly ask: () => Promise<readonly Reply[]>;
}

/** This reply may be lost too: it is asked soon again so often, and then less and less often. */
const SOON_ASKED = 2;

/** The replies of what was sent, given up once QEMU has answered what was asked behind it. */
export function soundOut(entered: Entered, { clock, afterMs, ask }: SoundingOptions): Entered['replies'] {
  let waitMs = afterMs;
  let asked = 0;
  let cancel = () => {};
  const sound = () => {
    void ask().then(replies => {
      if (replies.every(wasAnswered)) entered.giveUp('though it has answered what was asked behind it');
    });
    asked += 1;
    waitMs = asked <= SOON_ASKED ? afterMs / 2 : waitMs * 2;
    cancel = clock.after(waitMs, sound);
  };
  cancel = clock.after(waitMs, sound);
  return entered.replies.finally(() => cancel());
}

function wasAnswered(reply: Reply): boolean {
  return reply.ok || reply.error.code === 'QMP_COMMAND';
}
