/** Machines with steps of one's own: whatever such a step throws is a failure of the saga, which is compensated. */
import { describe, expect, test } from 'vitest';
import { createActor, fromPromise, toPromise } from 'xstate';
import { BlocksagaError } from '../../src/errors.ts';
import { chartFor, machineFor, READY_MADE, type StepOutput } from '../../src/machines/index.ts';

/** An error of a HTTP client's kind: it has a `toJSON` that gives no record of ours. */
class HttpError extends Error {
  code = 'ECONNREFUSED';
  toJSON() {
    return { code: this.code, config: {} };
  }
}

const unprintable = { [Symbol.toPrimitive]: () => Symbol('none') };

const THROWN: readonly (readonly [string, unknown])[] = [
  ['a TypeError', new TypeError('reading a member of undefined')],
  ['an error with a toJSON of its own', new HttpError('connect refused')],
  ['a string', 'no'],
  ['nothing', undefined],
  ['null', null],
  ['what cannot be shown', unprintable],
];

type Act = () => Promise<StepOutput>;

/** Runs the machine of a plan with steps that only say that they were called, but for one. */
async function run(plan: (typeof READY_MADE)[keyof typeof READY_MADE], failing: string, fail: Act) {
  const called: string[] = [];
  const actors = Object.fromEntries(
    chartFor(plan).actors.map(name => [
      name,
      fromPromise<StepOutput>(() => {
        called.push(name);
        return name === failing ? fail() : Promise.resolve({ abort: false });
      }),
    ]),
  );
  const actor = createActor(machineFor(plan).provide({ actors }), { input: { plan } });
  actor.start();
  return { called, output: await toPromise(actor) };
}

describe.each(['copy-reopen', 'snapshot-transaction', 'commit-reopen'] as const)('a step of %s', shape => {
  const plan = READY_MADE[shape];
  const steps = chartFor(plan).actors.filter(name => !name.includes('undo.') && name !== 'rescueGuest');

  test('of one’s own is compensated like any failure, whatever it throws, in its turn or later', async () => {
    for (const step of steps) {
      const ours = () => Promise.reject(new BlocksagaError('FILES', 'ours'));
      const expected = await run(plan, step, ours);
      for (const [what, thrown] of THROWN) {
        const ways: readonly Act[] = [
          () => Promise.reject(thrown),
          () => {
            throw thrown;
          },
        ];
        for (const fail of ways) {
          const { called, output } = await run(plan, step, fail);
          expect(called, `${step} throws ${what}`).toEqual(expected.called);
          expect(output.outcome).toBe(expected.output.outcome);
          const failure = { code: 'INTERNAL', effect: 'unknown' };
          // A step that only follows a failure of another one is not called here.
          if (expected.called.includes(step))
            expect(output.failure ?? output.undoFailure).toMatchObject(failure);
        }
      }
    }
  });

  test('says in its failure which step has thrown, and what', async () => {
    const { output } = await run(plan, 'markQemu', () => Promise.reject(new TypeError('no member')));
    expect(output.failure?.message).toMatch(/markQemu.*TypeError: no member/);
  });
});

test('an undo of one’s own that throws strands the saga, as one that fails does', async () => {
  const plan = READY_MADE['copy-reopen'];
  const { called } = await run(plan, 'mirrorDisks', () => Promise.reject(new Error('no')));
  const undo = called.find(name => name.startsWith('undo.')) ?? '';
  const fail = () => Promise.reject(new RangeError('nor back'));
  const actors = Object.fromEntries(
    chartFor(plan).actors.map(name => {
      const act = async () => (name === undo || name === 'mirrorDisks' ? fail() : { abort: false });
      return [name, fromPromise<StepOutput>(act)];
    }),
  );
  const actor = createActor(machineFor(plan).provide({ actors }), { input: { plan } });
  actor.start();
  expect(await toPromise(actor)).toMatchObject({
    outcome: 'needsRecovery',
    undoFailure: { code: 'INTERNAL', message: expect.stringContaining('nor back') },
  });
});
