/** Bends a command, so that QEMU refuses it, or what QEMU says of its mirrors. Pure. */
import type { Json } from '../../src/qmp/transport.ts';

/** The value with the string at `path` replaced; as it is where the path does not lead to one. */
export function bendAt(value: Json, path: readonly (string | number)[]): Json {
  const [key, ...rest] = path;
  if (key === undefined) return typeof value === 'string' ? 'nowhere' : value;
  if (Array.isArray(value)) return value.map((each, at) => (at === key ? bendAt(each, rest) : each));
  if (typeof value !== 'object' || value === null || !(key in value)) return value;
  const record = value as { readonly [key: string]: Json };
  return { ...record, [key]: bendAt(record[key] ?? null, rest) };
}

const LEFT_BYTES = 1024 * 1024;

/** What QEMU says, but that every bitmap of a job, which has no name, has something left to copy. */
export function lagging(value: Json): Json {
  if (Array.isArray(value)) return value.map(lagging);
  if (typeof value !== 'object' || value === null) return value;
  const lagged = Object.entries(value).map(([name, each]) => [name, lagging(each)] as const);
  const isJobsBitmap = 'granularity' in value && 'count' in value && !('name' in value);
  return { ...Object.fromEntries(lagged), ...(isJobsBitmap ? { count: LEFT_BYTES } : {}) };
}
