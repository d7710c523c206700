/** Checks a request against its shape; what is wrong is told field by field, all at once. */
import type { z } from 'zod';
import { BlocksagaError } from '../errors.ts';

/** Throws REQUEST_INVALID naming the field and the rule. */
export function checkRequest<T>(schema: z.ZodType<T>, request: unknown): T {
  const result = schema.safeParse(request);
  if (result.success) return result.data;
  const problems = result.error.issues.map(issue => `${issue.path.join('.') || 'request'}: ${issue.message}`);
  throw new BlocksagaError('REQUEST_INVALID', `the request makes no sense: ${problems.join('; ')}`, {
    issues: result.error.issues.map(({ path, message }) => ({
      path: path.map(key => (typeof key === 'symbol' ? String(key) : key)),
      message,
    })),
  });
}
