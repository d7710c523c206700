/** The rule of ids, for what is no request with fields of its own. */
import { z } from 'zod';
import { checkRequest } from './check-request.ts';
import { sagaId } from './request-fields.ts';

const shape = z.object({ id: sagaId });

/** Throws REQUEST_INVALID. */
export function checkId(id: unknown): string {
  return checkRequest(shape, { id }).id;
}
