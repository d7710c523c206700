/**
 * Whether two requests ask for the same: in whatever order their fields stand, whether a default is said or left out, and whichever of
 * two words for one thing is said. What is only said of a saga (`metadata`) does not count. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { offlineCommitShape } from './commit-offline-request.ts';
import { requestShapes } from './request-shapes.ts';

/** As `z.toJSONSchema` gives it, as far as it is looked at here. */
interface Shape {
  readonly default?: unknown;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
}

/** By what the journal calls a saga of the request. */
const SHAPES = {
  ...requestShapes,
  snapshotMirror: requestShapes.snapshot,
  commitOffline: offlineCommitShape,
};

/** Of requests that were checked, and may have been written by another version. */
export function isSameRequest(operation: string, one: object, other: object): boolean {
  const shape = shapeOf(operation);
  return isDeepStrictEqual(askedFor(one, shape), askedFor(other, shape));
}

function askedFor(request: object, shape: Shape): unknown {
  return withoutDefaults({ ...request, metadata: undefined }, shape);
}

function withoutDefaults(value: unknown, { items, properties }: Shape): unknown {
  if (Array.isArray(value)) return value.map(each => withoutDefaults(each, items ?? {}));
  if (typeof value !== 'object' || value === null) return value;
  const said = Object.entries(plainly(value, properties ?? {})).filter(
    ([name, member]) => member !== undefined && !isDeepStrictEqual(member, properties?.[name]?.default),
  );
  return Object.fromEntries(
    said.map(([name, member]) => [name, withoutDefaults(member, properties?.[name] ?? {})]),
  );
}

/** `raw` is another word for a format, over which it goes where both are said. */
function plainly(value: object, properties: Readonly<Record<string, Shape>>): object {
  const isRaw = 'raw' in properties && 'format' in properties && 'raw' in value && value.raw === true;
  return isRaw ? { ...value, raw: undefined, format: 'raw' } : value;
}

const known = new Map<string, Shape>();

/** Made when it is first needed: most programs submit no id twice. */
function shapeOf(operation: string): Shape {
  const schema = Object.entries(SHAPES).find(([name]) => name === operation)?.[1];
  const shape = known.get(operation) ?? (schema === undefined ? {} : jsonSchemaOf(schema));
  known.set(operation, shape);
  return shape;
}

function jsonSchemaOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape;
}
