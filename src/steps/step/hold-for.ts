/**
 * Stops the guest in the write that must not meet it running, right in front of that: even one that a third party has resumed is paused
 * then. Such a guest is this saga's to resume from there on, also where its administrator had paused it before: its `stop` is the last.
 */
import { ranInside, wasPausedByUs } from '../../guest/hold-guest.ts';
import { isLive, type SIGHT } from '../../guest/migration.ts';
import type { Command, Reply } from '../../qmp/client.ts';
import type { Replies } from '../../qmp/commands.ts';
import type { StatusInfo } from '../../qmp/schema.generated.ts';
import { inAnyCase } from './in-any-case.ts';
import type { StepContext } from './step.ts';

const STOP = { execute: 'stop' } as const;
export const STATUS = { execute: 'query-status' } as const;

/** What is looked at in front of the `stop`; nothing where the guest is known to have run. */
type Looks = typeof SIGHT | readonly [typeof STATUS] | readonly [];

interface HeldFor<K extends Looks, L extends readonly Command[]> {
  readonly looked: Replies<K>;
  readonly stopped: Reply<unknown>;
  readonly replies: Replies<L>;
  /** Whether it was this `stop` that has stopped the guest, as far as the look tells. */
  readonly wasLive: boolean;
}

type Holding = Pick<StepContext, 'qmp' | 'outcomes' | 'heldAgain'>;

/**
 * That the guest is to be resumed is known to this process alone, until `recordRun`: what follows from the replies may be more urgent.
 * `onStopped` is told when QEMU has answered the `stop`, and so has taken what is behind it: that a third party has resumed the guest
 * since is told later.
 */
export async function holdFor<const K extends Looks, const L extends readonly Command[]>(
  context: Holding,
  looks: K,
  behind: L,
  onStopped?: () => void,
): Promise<HeldFor<K, L>> {
  const { qmp, outcomes, heldAgain } = context;
  const answers: readonly Reply[] = await qmp.pipeline([...looks, STOP, ...behind], {
    onReply: (place, reply) => {
      // Its own answer may be lost: one to what is behind it says as much.
      if (place >= looks.length && wasAnswered(reply)) onStopped?.();
    },
  });
  const looked = answers.slice(0, looks.length) as unknown as Replies<K>;
  const [stopped, ...replies] = answers.slice(looks.length);
  const wasLive = stopped?.ok !== false && (await isHeldSince(context, answers, looks));
  if (wasLive) heldAgain(ranInside(outcomes.get('pauseGuest')));
  return { looked, stopped: stopped as Reply<unknown>, replies: replies as unknown as Replies<L>, wasLive };
}

/** Also where it has refused. */
function wasAnswered(reply: Reply): boolean {
  return reply.ok || reply.error.code === 'QMP_COMMAND';
}

/**
 * For a `do`: judges the replies, which throws where the guest had run in front of the `stop`. That it had is recorded too; an error of
 * a reply says more than one of the journal, and is the one that is thrown.
 */
export async function judgeHeld(
  { recordRun }: Pick<StepContext, 'recordRun'>,
  { wasLive }: Pick<HeldFor<Looks, []>, 'wasLive'>,
  judge: () => void,
): Promise<void> {
  if (wasLive) await inAnyCase(recordRun(false), async () => judge());
  else judge();
}

/** In S3 it depends on QEMU whether `stop` holds the guest, as in `holdGuest`. */
async function isHeldSince(
  { qmp, outcomes }: Holding,
  [first]: readonly Reply[],
  looks: Looks,
): Promise<boolean> {
  if (looks.length === 0 || first?.ok !== true) return false;
  const before = first.value as StatusInfo;
  if (before.running || !isLive(before)) return before.running;
  if (wasPausedByUs(outcomes.get('pauseGuest') ?? null)) return false;
  return (await qmp.execute('query-status')).status === 'paused';
}
