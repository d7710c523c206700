/**
 * What every journal must do, as one suite for all adapters. The world is a fake: one may end "this process", so that
 * its sagas are those of a dead one. It injects no other fault.
 */

import { describe, expect, it, onTestFinished } from 'vitest';
import { BlocksagaError, type ErrorCode } from '../../src/errors.ts';
import type { Holder, Journal, NewRecord, NewSaga, Processes } from '../../src/journal/journal.ts';
import { type Clock, systemClock } from '../../src/qmp/clock.ts';
import type { Json } from '../../src/qmp/transport.ts';
import { ManualClock } from '../qmp/manual-clock.ts';

/** A journal under test; `restart` kills the process without warning and gives the journal of the next one. */
export interface Subject {
  readonly journal: Journal;
  restart(): Subject;
}

export type NewSubject = (clock: Clock) => Subject;

/** Processes of which all that were numbered below `alive` are dead. */
export function processNumber(pid: number, firstAlive: () => number): Processes {
  const self: Holder = { pid, bootId: 'boot', startedAt: `start ${pid}` };
  return { self, isAlive: holder => holder.pid >= firstAlive() };
}

export function newSaga(id: string, more: Partial<NewSaga> = {}): NewSaga {
  return {
    id,
    vm: 'web',
    operation: 'copy',
    planVersion: 1,
    address: '/run/web.qmp',
    request: { disks: ['a'] },
    plan: { steps: [] },
    ...more,
  };
}

export function intent(step: string, body: Json = {}): NewRecord {
  return { kind: 'intent', step, body };
}

export function refused(code: ErrorCode, text: RegExp = /./): object {
  return expect.toSatisfy(
    error => error instanceof BlocksagaError && error.code === code && text.test(error.message),
    `a ${code} error whose message matches ${text}`,
  );
}

/** What a call throws; fails the test when it throws nothing. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const DURABLE = { durable: true };
const QUEUED = { durable: false };

export function describeJournal(name: string, newSubject: NewSubject): void {
  const start = (clock: Clock = systemClock): Subject => {
    const subject = newSubject(clock);
    onTestFinished(async () => {
      await subject.journal.close();
    });
    return subject;
  };
  const restarted = (subject: Subject): Subject => {
    const next = subject.restart();
    onTestFinished(async () => {
      await next.journal.close();
    });
    return next;
  };
  const steps = (journal: Journal, id: string) =>
    journal.records(id).map(({ seq, step }) => `${seq} ${step}`);

  describe(`${name}: claims`, () => {
    it('gives back the saga as it was begun, open and without a result', () => {
      const { journal } = start({ ...systemClock, epochMs: () => 1_700_000_000_123 });
      const lease = journal.begin(newSaga('s1'));
      expect(lease).toEqual({ saga: 's1', vm: 'web', token: 1 });
      expect(journal.saga('s1')).toMatchObject({
        ...newSaga('s1'),
        state: 'open',
        result: null,
        createdAtMs: 1_700_000_000_123,
        endedAtMs: null,
        holder: expect.objectContaining({ pid: expect.any(Number) }),
      });
      expect(journal.saga('s2')).toBeUndefined();
      expect(journal.records('s2')).toEqual([]);
    });

    it('refuses a second saga on the same VM and says who holds it and that it is running', () => {
      const { journal } = start();
      journal.begin(newSaga('s1'));
      const error = thrownBy(() => journal.begin(newSaga('s2')));
      expect(error).toEqual(refused('VM_BUSY', /"web" is held by saga s1 \(copy\).*is running: wait/));
      expect(journal.saga('s2')).toBeUndefined();
      expect(journal.begin(newSaga('s3', { vm: 'db' })).token).toBe(1);
    });

    it('says to resume the saga that holds the VM when its process is dead', () => {
      const first = start();
      first.journal.begin(newSaga('s1'));
      const { journal } = restarted(first);
      const error = thrownBy(() => journal.begin(newSaga('s2')));
      expect(error).toEqual(refused('VM_BUSY', /is dead: run `blocksaga resume s1`/));
    });

    it.each(['open', 'committed', 'needsRecovery'] as const)(
      'refuses an id that exists and is %s',
      async state => {
        const { journal } = start();
        const lease = journal.begin(newSaga('s1'));
        if (state !== 'open') await journal.end(lease, state, null);
        expect(thrownBy(() => journal.begin(newSaga('s1')))).toEqual(refused('ID_CONFLICT', /s1 exists/));
        expect(thrownBy(() => journal.begin(newSaga('s1', { vm: 'db' })))).toEqual(refused('ID_CONFLICT'));
      },
    );

    it.each(['committed', 'rolledBack'] as const)('frees the VM when a saga ends as %s', async state => {
      const { journal } = start();
      await journal.end(journal.begin(newSaga('s1')), state, { disks: 1 });
      expect(journal.saga('s1')).toMatchObject({
        state,
        result: { disks: 1 },
        endedAtMs: expect.any(Number),
      });
      expect(journal.begin(newSaga('s2')).token).toBe(2);
    });

    it('keeps the VM claimed when a saga needs recovery, until it was taken over and has ended', async () => {
      const { journal } = start();
      await journal.end(journal.begin(newSaga('s1')), 'needsRecovery', { why: 'QEMU died' });
      expect(thrownBy(() => journal.begin(newSaga('s2')))).toEqual(
        refused('VM_BUSY', /needs recovery: run `blocksaga resume s1`/),
      );
      const lease = journal.takeOver('s1');
      expect(lease.token).toBe(2);
      expect(journal.saga('s1')).toMatchObject({ state: 'open', result: null, endedAtMs: null });
      await journal.end(lease, 'rolledBack', null);
      expect(journal.begin(newSaga('s2')).token).toBe(3);
    });

    it('does not give an open saga to another while its process lives', () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      expect(thrownBy(() => journal.takeOver('s1'))).toEqual(refused('VM_BUSY', /running/));
      journal.appendSync(lease, [intent('goesOn')]);
      expect(steps(journal, 's1')).toEqual(['1 goesOn']);
    });

    it('gives the saga of a dead process to the next one, once', () => {
      const first = start();
      const dead = first.journal.begin(newSaga('s1'));
      first.journal.appendSync(dead, [intent('a')]);
      const holderBefore = first.journal.saga('s1')?.holder;
      const { journal } = restarted(first);
      const lease = journal.takeOver('s1');
      expect(lease).toEqual({ saga: 's1', vm: 'web', token: 2 });
      expect(journal.saga('s1')?.holder).not.toEqual(holderBefore);
      journal.appendSync(lease, [intent('b')]);
      expect(steps(journal, 's1')).toEqual(['1 a', '2 b']);
      expect(thrownBy(() => journal.takeOver('s1'))).toEqual(refused('VM_BUSY'));
    });

    it('writes what is noted of a takeover with it, and nothing where it is refused', async () => {
      const first = start();
      const dead = first.journal.begin(newSaga('s1'));
      first.journal.appendSync(dead, [intent('a')]);
      const note = { kind: 'signal', step: 'takenOver', body: { after: 'died' } } as const;
      expect(thrownBy(() => first.journal.takeOver('s1', { note }))).toEqual(refused('VM_BUSY'));
      const { journal } = restarted(first);
      const lease = journal.takeOver('s1', { note });
      expect(steps(journal, 's1')).toEqual(['1 a', '2 takenOver']);
      expect(journal.records('s1').at(-1)).toMatchObject(note);
      journal.appendSync(lease, [intent('b')]);
      expect(steps(journal, 's1')).toEqual(['1 a', '2 takenOver', '3 b']);
      let heard = 0;
      journal.listen('s1', 0, () => {
        heard += 1;
      })();
      expect(heard).toBe(0);
    });

    it('gives an open saga to another by force, and the living process has lost it then', () => {
      const { journal } = start();
      const old = journal.begin(newSaga('s1'));
      journal.confirm(old);
      const lease = journal.takeOver('s1', { force: true });
      expect(lease.token).toBe(2);
      const lost = refused('VM_BUSY', /s1 has lost VM "web".*token 1, now 2/);
      expect(thrownBy(() => journal.confirm(old))).toEqual(lost);
      expect(thrownBy(() => journal.appendSync(old, [intent('late')]))).toEqual(lost);
      journal.confirm(lease);
      journal.appendSync(lease, [intent('mine')]);
      expect(steps(journal, 's1')).toEqual(['1 mine']);
    });

    it('says that a lease is good only until its saga has ended, by force or not', async () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      await journal.end(lease, 'committed', null);
      expect(thrownBy(() => journal.confirm(lease))).toEqual(refused('SAGA_STATE', /ended \(committed\)/));
      expect(thrownBy(() => journal.takeOver('s1', { force: true }))).toEqual(refused('SAGA_STATE'));
    });

    it('takes over neither a saga that has ended nor one that is not there', async () => {
      const { journal } = start();
      await journal.end(journal.begin(newSaga('s1')), 'committed', null);
      expect(thrownBy(() => journal.takeOver('s1'))).toEqual(refused('SAGA_STATE', /ended \(committed\)/));
      expect(thrownBy(() => journal.takeOver('s9'))).toEqual(refused('SAGA_UNKNOWN', /s9/));
    });

    it('writes nothing for a lease whose VM was claimed by another saga since', async () => {
      const { journal } = start();
      const old = journal.begin(newSaga('s1'));
      await journal.end(old, 'needsRecovery', null);
      const lease = journal.takeOver('s1');
      const lost = refused('VM_BUSY', /s1 has lost VM "web".*token 1, now 2/);
      await expect(journal.append(old, [intent('late')], DURABLE)).rejects.toEqual(lost);
      await expect(journal.end(old, 'committed', null)).rejects.toEqual(lost);
      expect(thrownBy(() => journal.appendSync(old, [intent('late')]))).toEqual(lost);
      await journal.append(old, [intent('late and queued')], QUEUED);
      await journal.append(lease, [intent('mine')], DURABLE);
      expect(steps(journal, 's1')).toEqual(['1 mine']);
      expect(journal.saga('s1')?.state).toBe('open');
    });

    it('takes nothing more for a saga that has ended', async () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      await journal.end(lease, 'committed', { n: 1 });
      const ended = refused('SAGA_STATE', /s1 has ended \(committed\)/);
      await expect(journal.append(lease, [intent('late')], DURABLE)).rejects.toEqual(ended);
      await expect(journal.end(lease, 'rolledBack', null)).rejects.toEqual(ended);
      expect(journal.saga('s1')).toMatchObject({ state: 'committed', result: { n: 1 } });
    });
  });

  describe(`${name}: records`, () => {
    it('numbers the records of each saga on its own and keeps the order in which they were handed over', async () => {
      const { journal } = start();
      const web = journal.begin(newSaga('s1'));
      const db = journal.begin(newSaga('s2', { vm: 'db' }));
      await Promise.all([
        journal.append(web, [intent('a'), intent('b')], DURABLE),
        journal.append(db, [intent('x')], DURABLE),
        journal.append(web, [intent('c')], QUEUED),
        journal.append(web, [intent('d')], DURABLE),
      ]);
      journal.appendSync(web, [{ kind: 'decision', step: 'e', body: null }]);
      expect(steps(journal, 's1')).toEqual(['1 a', '2 b', '3 c', '4 d', '5 e']);
      expect(steps(journal, 's2')).toEqual(['1 x']);
    });

    it('refuses the records of one writer without harm to those that are written with it', async () => {
      const { journal } = start();
      const old = journal.begin(newSaga('s1'));
      await journal.end(old, 'committed', null);
      const lease = journal.begin(newSaga('s2'));
      const both = await Promise.allSettled([
        journal.append(old, [intent('late')], DURABLE),
        journal.append(lease, [intent('fine')], DURABLE),
      ]);
      expect(both.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
      expect(steps(journal, 's2')).toEqual(['1 fine']);
    });

    it('writes what was queued before a synchronous append, and its own records, on return', () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      const waiting = journal.append(lease, [intent('durable')], DURABLE);
      void journal.append(lease, [intent('queued')], QUEUED);
      journal.appendSync(lease, [{ kind: 'decision', step: 'switch', body: { side: 'new' } }]);
      expect(steps(journal, 's1')).toEqual(['1 durable', '2 queued', '3 switch']);
      return waiting;
    });

    it('keeps durable records when the process dies, and may lose those that were only queued', async () => {
      const first = start();
      const lease = first.journal.begin(newSaga('s1'));
      await first.journal.append(lease, [intent('queued early')], QUEUED);
      await first.journal.append(lease, [intent('durable')], DURABLE);
      await first.journal.append(lease, [intent('queued late')], QUEUED);
      const { journal } = restarted(first);
      expect(steps(journal, 's1')).toEqual(['1 queued early', '2 durable']);
    });

    it('keeps queued records when it is closed in order', async () => {
      const first = start();
      const lease = first.journal.begin(newSaga('s1'));
      await first.journal.append(lease, [intent('queued')], QUEUED);
      await first.journal.close();
      expect(steps(restarted(first).journal, 's1')).toEqual(['1 queued']);
    });

    it('stamps each record with the time at which it was handed over', async () => {
      let nowMs = 1000;
      const { journal } = start({ ...systemClock, epochMs: () => nowMs });
      const lease = journal.begin(newSaga('s1'));
      await journal.append(lease, [intent('a')], QUEUED);
      nowMs = 2000;
      await journal.append(lease, [intent('b')], DURABLE);
      expect(journal.records('s1').map(({ atMs }) => atMs)).toEqual([1000, 2000]);
    });

    it.each<[string, Json]>([
      ['integers past 2^53', { size: 18_446_744_073_709_551_615n, below: -(2n ** 64n), near: 2 ** 53 - 1 }],
      ['fractions and exponents', [0.1, 1e300, -1.5e-10, 1234567890.1234567]],
      ['text of any script, line separators and digits', 'ä \u2028 \u0000 \u{1f4be} "12345678901234567890"'],
      ['nesting and empty things', { a: [[], {}, null, true, false, ''], __proto__x: { b: [{ c: 1 }] } }],
    ])('gives back a body with %s as it was', async (_what, body) => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1', { request: body, plan: body }));
      await journal.append(lease, [intent('a', body)], DURABLE);
      await journal.end(lease, 'committed', body);
      expect(journal.records('s1')[0]?.body).toEqual(body);
      expect(journal.saga('s1')).toMatchObject({ request: body, plan: body, result: body });
    });

    it('takes a body of just under 1 MiB and refuses a bigger one, wherever it stands', async () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      const fits = 'x'.repeat(1024 * 1024 - 2);
      const tooBig = `${fits}y`;
      const refusal = refused('JOURNAL', /too big/);
      await journal.append(lease, [intent('fits', fits)], DURABLE);
      await expect(journal.append(lease, [intent('a'), intent('b', [tooBig])], DURABLE)).rejects.toEqual(
        refusal,
      );
      await expect(journal.append(lease, [intent('b', tooBig)], QUEUED)).rejects.toEqual(refusal);
      expect(thrownBy(() => journal.appendSync(lease, [intent('b', { [tooBig]: 1 })]))).toEqual(refusal);
      expect(thrownBy(() => journal.begin(newSaga('s2', { vm: 'db', plan: tooBig })))).toEqual(refusal);
      await expect(journal.end(lease, 'committed', tooBig)).rejects.toEqual(refusal);
      expect(steps(journal, 's1')).toEqual(['1 fits']);
      expect(journal.sagas()).toHaveLength(1);
    });

    it.each([Number.NaN, Number.POSITIVE_INFINITY])(
      'crashes on %s, which JSON would make null',
      async value => {
        const { journal } = start();
        const lease = journal.begin(newSaga('s1'));
        await expect(journal.append(lease, [intent('a', [value])], DURABLE)).rejects.toThrow(
          'broken assumption',
        );
      },
    );
  });

  describe(`${name}: what others ask`, () => {
    it('is heard within a second by each listener, once, and not what the saga itself writes', async () => {
      const clock = new ManualClock();
      const { journal } = start(clock);
      const lease = journal.begin(newSaga('s1'));
      journal.begin(newSaga('s2', { vm: 'db' }));
      const heard: unknown[] = [];
      const end = journal.listen('s1', 0, asked => heard.push(asked));
      journal.appendSync(lease, [intent('a'), { kind: 'signal', step: 'pivot', body: null }]);
      expect(journal.ask('s1', 'setSpeed', 5)).toBe(3);
      journal.ask('s2', 'abort', null);
      await clock.advance(1_000);
      expect(heard).toEqual([{ seq: 3, signal: 'setSpeed', value: 5 }]);
      journal.appendSync(lease, [intent('b')]);
      expect(journal.ask('s1', 'abort', null)).toBe(5);
      await clock.advance(3_000);
      expect(heard).toHaveLength(2);
      end();
      journal.ask('s1', 'pivot', null);
      await clock.advance(3_000);
      expect([heard.length, clock.pending]).toEqual([2, 0]);
      expect(journal.records('s1').map(({ seq, step }) => `${seq} ${step}`)).toEqual([
        '1 a',
        '2 pivot',
        '3 setSpeed',
        '4 b',
        '5 abort',
        '6 pivot',
      ]);
    });

    it('waits in the journal for the next process', async () => {
      const clock = new ManualClock();
      const subject = start(clock);
      subject.journal.begin(newSaga('s1'));
      subject.journal.ask('s1', 'abort', null);
      const next = restarted(subject).journal;
      const heard: unknown[] = [];
      const end = next.listen('s1', 0, asked => heard.push(asked.signal));
      await clock.advance(1_000);
      end();
      expect(heard).toEqual(['abort']);
    });

    it('is refused where no process could hear it', async () => {
      const { journal } = start();
      expect(thrownBy(() => journal.ask('s1', 'abort', null))).toEqual(refused('SAGA_UNKNOWN'));
      await journal.end(journal.begin(newSaga('s1')), 'committed', null);
      expect(thrownBy(() => journal.ask('s1', 'abort', null))).toEqual(refused('SAGA_STATE', /committed/));
      await journal.close();
      expect(thrownBy(() => journal.ask('s1', 'abort', null))).toEqual(refused('JOURNAL', /closed/));
      expect(thrownBy(() => journal.listen('s1', 0, () => undefined))).toEqual(refused('JOURNAL', /closed/));
    });
  });

  describe(`${name}: reading and closing`, () => {
    it('lists sagas newest first, by VM and by state', async () => {
      const { journal } = start();
      await journal.end(journal.begin(newSaga('s1')), 'committed', null);
      await journal.end(journal.begin(newSaga('s2')), 'rolledBack', null);
      journal.begin(newSaga('s3', { vm: 'db' }));
      const ids = (filter?: Parameters<Journal['sagas']>[0]) => journal.sagas(filter).map(({ id }) => id);
      expect(ids()).toEqual(['s3', 's2', 's1']);
      expect(ids({ vm: 'web' })).toEqual(['s2', 's1']);
      expect(ids({ state: 'open' })).toEqual(['s3']);
      expect(ids({ vm: 'web', state: 'committed' })).toEqual(['s1']);
      expect(ids({ vm: 'no-vm' })).toEqual([]);
    });

    it('refuses everything once it is closed, and may be closed again', async () => {
      const { journal } = start();
      const lease = journal.begin(newSaga('s1'));
      const last = journal.append(lease, [intent('a')], DURABLE);
      await journal.close();
      await last;
      await journal.close();
      const closed = refused('JOURNAL', /closed/);
      await expect(journal.append(lease, [intent('b')], DURABLE)).rejects.toEqual(closed);
      await expect(journal.append(lease, [intent('b')], QUEUED)).rejects.toEqual(closed);
      await expect(journal.end(lease, 'committed', null)).rejects.toEqual(closed);
      expect(thrownBy(() => journal.appendSync(lease, []))).toEqual(closed);
      expect(thrownBy(() => journal.begin(newSaga('s2')))).toEqual(closed);
      expect(thrownBy(() => journal.takeOver('s1'))).toEqual(closed);
      expect(thrownBy(() => journal.saga('s1'))).toEqual(closed);
      expect(thrownBy(() => journal.sagas())).toEqual(closed);
      expect(thrownBy(() => journal.records('s1'))).toEqual(closed);
    });
  });
}
