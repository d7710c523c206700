/** Checks a request against its shape; what is wrong is told field by field, all at once. */
import type { z } from 'zod';
import { BlocksagaError } from '../errors.ts';

/** A request without the fields that are undefined, which are as good as left out. Throws REQUEST_INVALID naming the field and the rule. */
export function checkRequest<T>(schema: z.ZodType<T>, request: unknown): T {
  const result = schema.safeParse(request);
  if (result.success) return withoutUndefined(result.data);
  const problems = result.error.issues.map(issue => `${issue.path.join('.') || 'request'}: ${issue.message}`);
  throw new BlocksagaError('REQUEST_INVALID', `the request makes no sense: ${problems.join('; ')}`, {
    issues: result.error.issues.map(({ path, message }) => ({
      path: path.map(key => (typeof key === 'symbol' ? String(key) : key)),
      message,
    })),
  });
}

/** Requests are plain data: objects, lists and what JSON has besides. */
function withoutUndefined<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutUndefined) as T;
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutUndefined(member)])) as T;
}
