/**
 * Hands a definition to the saga's `onCommit`: a function of this engine, or a program, which is run without a shell.
 * Says whether it was taken; how often that is tried is the step host's business.
 */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import type { SagaRow } from '../../journal/journal.ts';
import type { DefinedDisk } from '../../plan/definition.ts';
import type { OnCommit, Plan, Program } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { Definition } from '../../steps/finish/publish-definitions.ts';
import { type OnListenerError, tellerOf } from './isolate.ts';
import { runProgram } from './run-program.ts';

/** Told after each saga's decision which disks its VM has now, at least once; a rejection is tried again for minutes. */
export type Publisher = (definition: Definition) => Promise<void>;

/** Who is to be told: the program that the request names, else the engine's own publisher. */
export function onCommitOf(program: Program | undefined, publisher: Publisher | undefined): OnCommit | null {
  if (program !== undefined) return { by: 'program', ...program };
  return publisher === undefined ? null : { by: 'engine' };
}

/** The plan with another program to be told. Throws REQUEST_INVALID when the saga was begun without one. */
export function toldTo<P extends Plan>(program: Program | undefined, plan: P): P {
  if (program === undefined) return plan;
  if (plan.onCommit !== null) return { ...plan, onCommit: { by: 'program', ...program } };
  throw new BlocksagaError(
    'REQUEST_INVALID',
    'this saga was begun without a program to tell of its new disks: leave --on-commit out, and look at its result',
  );
}

/** The saga that tells, as its definitions name it. */
interface Named extends Pick<SagaRow, 'id' | 'vm' | 'operation'> {
  readonly metadata?: Definition['metadata'] | undefined;
}

/** Publishes the disks of one saga. It throws PUBLISH, or REQUEST_INVALID when there is no `onCommit`. */
export function publisherOf(
  { id, vm, operation, metadata }: Named,
  onCommit: OnCommit | null,
  publisher: Publisher | undefined,
  clock: Clock,
  onListenerError?: OnListenerError,
): (disks: readonly DefinedDisk[]) => Promise<void> {
  const tell = tellerOf(onListenerError, { listener: 'onCommit', saga: id });
  return async disks => {
    const definition = { saga: id, vm, operation, ...definedOnly({ metadata }), disks };
    if (onCommit?.by === 'program') return runProgram(onCommit, JSON.stringify(definition), clock);
    if (publisher === undefined) {
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `saga ${id} was begun by a program that keeps the VM's records itself: resume it there, or say with --on-commit who is to be told`,
      );
    }
    try {
      // A copy of its own: what one call makes of it is not what the next one is told.
      await publisher(structuredClone(definition));
    } catch (cause) {
      if (onListenerError !== undefined) tell(cause);
      throw new BlocksagaError('PUBLISH', `the new disks could not be published: ${String(cause)}`, {
        cause,
      });
    }
  };
}
