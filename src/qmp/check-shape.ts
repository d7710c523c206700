/**
 * Whether what QEMU answers, and the data of its events, has the shape that its schema says, as far as code here reads it:
 * beyond this border nothing is of another type than its name says. It changes nothing, and is tolerant of what other
 * versions add or lack.
 */
import { DEPTH_MAX } from './codec.ts';
import { isObject } from './messages.ts';
import { ANSWERS, EVENTS, OBJECTS } from './shapes.generated.ts';
import type { Json } from './transport.ts';

/** Undefined when the value has the shape, else the place in it that has not, and what is there. */
type Check = (value: Json, depth: number) => string | undefined;

/** Why an answer to this command cannot be one; undefined when it can. */
export function whyNoAnswer(command: string, value: Json): string | undefined {
  const check = checkOf(ANSWERS, answers, command);
  return command === 'query-qmp-schema' && check !== undefined
    ? onceForEach(check, value)
    : check?.(value, 0);
}

/** Why data cannot be that of this event; undefined when it can, and for events that are not known here. */
export function whyNoEvent(event: string, data: Json): string | undefined {
  return checkOf(EVENTS, events, event)?.(data, 0);
}

const answers = new Map<string, Check | undefined>();
const events = new Map<string, Check | undefined>();
const objects = new Map<string, Check>();

function checkOf(
  table: Readonly<Record<string, string>>,
  known: Map<string, Check | undefined>,
  name: string,
): Check | undefined {
  if (!known.has(name)) {
    const shape = Object.hasOwn(table, name) ? table[name] : undefined;
    known.set(name, shape === undefined ? undefined : compile(shape));
  }
  return known.get(name);
}

function compile(shape: string): Check {
  if (shape.endsWith('[]')) return listOf(compile(shape.slice(0, -2)));
  const primitive = PRIMITIVES[shape];
  if (primitive !== undefined) return value => (primitive(value) ? undefined : `: no ${shape}`);
  let check = objects.get(shape);
  if (check === undefined) {
    let compiled: Check | undefined;
    // Compiled when it is first used: a type may refer to itself.
    check = (value, depth) => {
      compiled ??= objectOf(OBJECTS[shape] ?? {});
      return compiled(value, depth);
    };
    objects.set(shape, check);
  }
  return check;
}

const PRIMITIVES: Readonly<Record<string, (value: Json) => boolean>> = {
  string: value => typeof value === 'string',
  boolean: value => typeof value === 'boolean',
  number: value => typeof value === 'number' || typeof value === 'bigint',
  safe: value => Number.isSafeInteger(value),
  any: () => true,
};

/** What `typeof` says of the members of a type, where that alone tells nearly always that they are right. */
const TYPE_OF: Readonly<Record<string, string>> = { string: 'string', boolean: 'boolean', number: 'number' };

/** Schemas that were looked into: they are long, and a QEMU in this process gives the same one to each that asks. */
const rightSchemas = new WeakSet<object>();

function onceForEach(check: Check, schema: Json): string | undefined {
  if (typeof schema !== 'object' || schema === null) return check(schema, 0);
  if (rightSchemas.has(schema)) return undefined;
  const wrong = check(schema, 0);
  if (wrong === undefined) rightSchemas.add(schema);
  return wrong;
}

function listOf(element: Check): Check {
  return (value, depth) => {
    if (!Array.isArray(value)) return ': no list';
    if (depth > DEPTH_MAX) return ': nested too deep';
    for (let at = 0; at < value.length; at += 1) {
      const wrong = element(value[at] as Json, depth + 1);
      if (wrong !== undefined) return `[${at}]${wrong}`;
    }
    return undefined;
  };
}

interface MemberCheck {
  readonly name: string;
  readonly typeOf: string | undefined;
  readonly check: Check;
  readonly isRequired: boolean;
}

function objectOf(table: Readonly<Record<string, string>>): Check {
  const members: MemberCheck[] = [];
  const cases = new Map<string, Check>();
  let tag: string | undefined;
  for (const [name, told] of Object.entries(table)) {
    const [key, value] = name.split('=');
    if (value !== undefined) {
      tag = key;
      cases.set(value, compile(told));
      continue;
    }
    const isRequired = !told.endsWith('?');
    const shape = isRequired ? told : told.slice(0, -1);
    members.push({ name, isRequired, typeOf: TYPE_OF[shape], check: compile(shape) });
  }
  return (value, depth) => {
    if (!isObject(value)) return ': no object';
    if (depth > DEPTH_MAX) return ': nested too deep';
    for (const { name, typeOf, check, isRequired } of members) {
      const member = value[name];
      if (typeof member === typeOf) continue;
      if (member === undefined) {
        if (isRequired) return `.${name}: missing`;
        continue;
      }
      const wrong = check(member, depth + 1);
      if (wrong !== undefined) return `.${name}${wrong}`;
    }
    const chosen = tag === undefined ? undefined : cases.get(String(value[tag]));
    return chosen?.(value, depth);
  };
}
