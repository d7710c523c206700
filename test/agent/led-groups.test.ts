/** What the agent of another host may say of its part of a group, in which order, and what has no effect. */
import { describe, expect, it } from 'vitest';
import { LedGroups } from '../../src/agent/led-groups.ts';
import type { Verb } from '../../src/agent/wire.ts';
import { beginGroup, commitGroup } from '../../src/engine/durable/group-register.ts';
import type { Junction } from '../../src/engine/group-hosts.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';
import { groupIsBack } from '../../src/steps/step/barrier.ts';
import { rejection } from '../engine/lives.ts';

const HERE = new AbortController().signal;
const ATTEMPT = 'a1'.repeat(16);

/** A group of one other host, and what its part has come to at the leader. */
function scene() {
  const clock = createVirtualClock();
  const journal = memoryJournal(undefined, { clock });
  const led = new LedGroups(journal, clock);
  const came: string[] = [];
  const decided = Promise.withResolvers<void>();
  const met = Promise.withResolvers<void>();
  const left = new AbortController();
  const junction: Junction = {
    planned: async () => ATTEMPT,
    prepared: async () => void came.push('prepared'),
    converged: async () => void came.push('converged'),
    left: left.signal,
    taken: async withinMs => {
      came.push(`taken for ${withinMs} ms`);
      await met.promise;
    },
    confirmed: () => {
      came.push('confirmed');
      return decided.promise;
    },
    leave: why => {
      came.push(`left: ${why}`);
      left.abort(groupIsBack(why));
      met.reject(groupIsBack(why));
      decided.reject(groupIsBack(why));
    },
    refuse: why => void came.push(`refused: ${String(why)}`),
  };
  met.promise.catch(() => undefined);
  decided.promise.catch(() => undefined);
  led.lead('g', new Map([['h2', junction]]));
  const say = (verb: Verb, body: object = { attempt: ATTEMPT, withinMs: 100 }, gone = HERE) =>
    led.answer('g', 'h2', verb, body, gone);
  const upTo = async (...verbs: readonly Verb[]) => {
    for (const verb of verbs) await say(verb);
  };
  return { clock, journal, led, came, decided, met, say, upTo };
}

describe('the part of another host', () => {
  it('comes to each thing in turn, and is told the decision as often as it asks', async () => {
    const { say, upTo, came, met, decided } = scene();
    expect(await say('planned')).toEqual({ attempt: ATTEMPT });
    met.resolve();
    await upTo('prepared', 'taken');
    decided.resolve();
    for (const verb of ['confirmed', 'confirmed', 'decision'] as const)
      expect(await say(verb)).toEqual({ decided: 'committed' });
    expect(came).toEqual(['prepared', 'taken for 100 ms', 'confirmed']);
  });

  it.each([
    ['an answer before its vote', ['planned', 'prepared'], 'confirmed'],
    ['a vote before its overlays', ['planned'], 'taken'],
    ['overlays twice', ['planned', 'prepared'], 'prepared'],
    ['a part twice', ['planned'], 'planned'],
    ['a refusal behind its plan', ['planned'], 'refused'],
  ] as const)('says nothing out of its turn: %s', async (_, before, verb) => {
    const { say, upTo, came } = scene();
    await upTo(...before);
    const known = [...came];
    expect(await rejection(say(verb))).toMatchObject({ code: 'GROUP' });
    expect(came).toEqual(known);
  });

  it('does not answer while the others have not voted', async () => {
    const { clock, say, upTo, came } = scene();
    await upTo('planned', 'prepared');
    const vote = say('taken');
    expect(await rejection(say('confirmed'))).toMatchObject({ code: 'GROUP' });
    expect(came).not.toContain('confirmed');
    vote.catch(() => undefined);
    await clock.advance(1);
  });

  it.each(['', 'b2'.repeat(16)])('has no effect by another attempt (%s)', async attempt => {
    const { say, upTo, came } = scene();
    await upTo('planned');
    for (const verb of ['prepared', 'taken', 'confirmed', 'left', 'decision'] as const)
      expect(await rejection(say(verb, { attempt, withinMs: 1 }))).toMatchObject({ code: 'SAGA_UNKNOWN' });
    expect(came).toEqual([]);
  });

  it('leaves with its connection while it waits for the others, and not when it has answered', async () => {
    const { say, upTo, came } = scene();
    await upTo('planned', 'prepared');
    const gone = new AbortController();
    const vote = rejection(say('taken', { attempt: ATTEMPT, withinMs: 100 }, gone.signal));
    gone.abort();
    expect(await vote).toMatchObject({ code: 'GROUP' });
    expect(came.at(-1)).toBe('left: its connection has broken');
    const other = scene();
    other.met.resolve();
    await other.upTo('planned', 'prepared', 'taken');
    const broken = new AbortController();
    const answer = other.say('confirmed', { attempt: ATTEMPT }, broken.signal);
    broken.abort();
    expect(await other.say('left')).toEqual({});
    other.decided.resolve();
    expect(await answer).toEqual({ decided: 'committed' });
    expect(other.came).toEqual(['prepared', 'taken for 100 ms', 'confirmed']);
  });

  it('that says nothing is left out: before it comes, and at each turn', async () => {
    const { clock, came } = scene();
    await clock.advance(15_000);
    expect(came).toEqual(['left: it has not come within 15 s']);
    const planned = scene();
    await planned.upTo('planned');
    await planned.clock.advance(65_000);
    expect(planned.came).toEqual(['left: nothing was heard of it for 65 s']);
    const voted = scene();
    voted.met.resolve();
    await voted.upTo('planned', 'prepared', 'taken');
    await voted.clock.advance(10_000);
    expect(voted.came.at(-1)).toBe('left: nothing was heard of it for 10 s');
    expect(await voted.say('confirmed')).toEqual({ decided: 'rolledBack' });
  });

  it('that asks in a later process without having answered never will', async () => {
    const { say, upTo, came, met } = scene();
    met.resolve();
    await upTo('planned', 'prepared', 'taken');
    expect(await say('decision')).toEqual({ decided: 'rolledBack' });
    expect(await say('confirmed')).toEqual({ decided: 'rolledBack' });
    expect(came).toEqual(['prepared', 'taken for 100 ms', 'left: its process has died']);
  });

  it('is not told what may still come to either', async () => {
    const { clock, say, upTo, met } = scene();
    met.resolve();
    await upTo('planned', 'prepared', 'taken');
    expect(await clock.run(say('confirmed'))).toEqual({ decided: 'undecided' });
  });
});

describe('a part that asks when its group is over', () => {
  const across = { parts: [{ host: 'h2', attempt: ATTEMPT }] };

  it('is told by the journal, by its own attempt alone', async () => {
    const { clock, journal, led, say } = scene();
    led.isOver('g');
    const lease = await beginGroup(journal, clock, 'g', [], [], across);
    expect(await say('decision')).toEqual({ decided: 'undecided' });
    await commitGroup(journal, lease);
    expect(await say('decision')).toEqual({ decided: 'committed' });
    expect(await rejection(say('decision', { attempt: 'other' }))).toMatchObject({ code: 'SAGA_UNKNOWN' });
    expect(await rejection(led.answer('g', 'h3', 'decision', { attempt: ATTEMPT }, HERE))).toMatchObject({
      code: 'SAGA_UNKNOWN',
    });
  });

  it('learns neither decision of a group that this journal does not know', async () => {
    const { led, say } = scene();
    led.isOver('g');
    expect(await rejection(say('decision'))).toMatchObject({ code: 'SAGA_UNKNOWN' });
  });

  it('does not join it again under the same id', async () => {
    const { clock, journal, led, say } = scene();
    led.isOver('g');
    await beginGroup(journal, clock, 'g', [], [], across);
    expect(await rejection(say('planned'))).toMatchObject({ code: 'SAGA_STATE' });
  });
});
