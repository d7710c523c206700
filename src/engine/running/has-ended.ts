/** The refusal of a saga that has ended already. */
import { BlocksagaError } from '../../errors.ts';

/** SAGA_STATE, for a signal that comes after the end. */
export function hasEnded(id: string, outcome: string, reason: string | null): BlocksagaError {
  const why = reason === null ? '' : `: ${reason}`;
  return new BlocksagaError(
    'SAGA_STATE',
    `saga ${id} has ended (${outcome}${why}) and hears nothing any more`,
    {
      saga: id,
    },
  );
}
