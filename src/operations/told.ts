/** What people are told of a field of a request, kept with its schema: for hovers, the reference page and JSON Schema. */
import type { z } from 'zod';

/** `default` is a value; `without` says in words what holds where the field is left out. */
export interface Told {
  readonly example?: unknown;
  readonly default?: unknown;
  readonly without?: string;
  readonly unit?: string;
}

/** The schema, with what is told of it. JSON Schema has it as `description`, `examples`, `default`, `x-unit` and `x-without`. */
export function told<S extends z.ZodType>(schema: S, description: string, more: Told = {}): S {
  return schema.meta({
    description,
    ...('example' in more ? { examples: [more.example] } : {}),
    ...('default' in more ? { default: more.default } : {}),
    ...(more.unit === undefined ? {} : { 'x-unit': more.unit }),
    ...(more.without === undefined ? {} : { 'x-without': more.without }),
  });
}
