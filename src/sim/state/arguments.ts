/**
 * Checks a command's arguments against the version's schema the way QAPI does: members in schema order (missing, wrong
 * type, unknown value), then what is left over. Says nothing about what the values mean.
 */

import type { Json } from '../../qmp/transport.ts';
import { refuse } from './refusal.ts';
import type { SchemaTable } from './schema.generated.ts';
import type { Texts } from './texts.ts';

interface Member {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
}

const EXPORT_MEMBERS: Readonly<Record<string, string>> = {
  nbd: 'name?:str description?:str bitmaps?:any allocation-depth?:bool',
};

/** Structures that commands take whole. */
const STRUCTURES: Readonly<Record<string, string>> = {
  TransactionProperties: 'completion-mode?:ActionCompletionMode',
  BlockdevCacheOptions: 'direct?:bool no-flush?:bool',
  BackupPerf: 'use-copy-range?:bool max-workers?:int max-chunk?:int min-cluster-size?:size',
};

const parsed = new Map<string, readonly Member[]>();

/** `name?:type` words as members; remembered, as there are few and they are asked for often. */
export function members(spec: string): readonly Member[] {
  let list = parsed.get(spec);
  if (list === undefined) {
    list = spec === '' ? [] : spec.split(' ').map(member);
    parsed.set(spec, list);
  }
  return list;
}

function member(word: string): Member {
  const colon = word.indexOf(':');
  const optional = word[colon - 1] === '?';
  return { name: word.slice(0, optional ? colon - 1 : colon), type: word.slice(colon + 1), optional };
}

export interface Checker {
  check(command: string, args: Arguments): void;
}

export function createChecker(schema: SchemaTable, texts: Texts): Checker {
  const enums = new Map(
    Object.entries(schema.enums).map(([name, values]) => [name, new Set(values.split(' '))]),
  );

  function checkMembers(spec: readonly Member[], value: Arguments, path: string): number {
    let known = 0;
    for (const { name, type, optional } of spec) {
      const given = value[name];
      if (given === undefined) {
        if (!optional) refuse(`Parameter '${path}${name}' is missing`);
        continue;
      }
      known += 1;
      checkValue(type, given, name, `${path}${name}`);
    }
    return known;
  }

  function checkStructure(specs: readonly (readonly Member[])[], value: Arguments, path: string): void {
    let known = 0;
    for (const spec of specs) known += checkMembers(spec, value, path);
    if (known === Object.keys(value).length) return;
    for (const name of Object.keys(value)) {
      if (!specs.some(spec => spec.some(one => one.name === name))) {
        refuse(`Parameter '${path}${name}' is unexpected`);
      }
    }
  }

  function checkUnion(
    base: string,
    tag: string,
    branches: Readonly<Record<string, string>>,
    value: Arguments,
    path: string,
  ): void {
    checkMembers(members(base), value, path);
    const branch = branches[String(value[tag])] ?? '';
    checkStructure([members(base), members(branch)], value, path);
  }

  function checkValue(type: string, value: Json, name: string, path: string): void {
    if (type.startsWith('[')) {
      if (!Array.isArray(value)) refuse(`Invalid parameter type for '${path}', expected: array`);
      const element = type.slice(1, -1);
      // QAPI knows no name of an element (qapi/qapi-visit-core.c).
      value.forEach((one: Json, index) => {
        checkValue(element, one, 'null', `${path}[${index}]`);
      });
      return;
    }
    const values = enums.get(type);
    if (values !== undefined || type === 'str') {
      if (typeof value !== 'string') refuse(`Invalid parameter type for '${path}', expected: string`);
      if (values !== undefined && !values.has(value)) refuse(texts.enumValue(name, value));
      return;
    }
    switch (type) {
      case 'int':
      case 'size':
        checkInteger(type, value, path, UINT32.has(name));
        return;
      case 'bool':
        if (typeof value !== 'boolean') refuse(`Invalid parameter type for '${path}', expected: boolean`);
        return;
      case 'ref':
      case 'refOrNull':
        if (typeof value === 'string' || (value === null && type === 'refOrNull')) return;
        if (!isObject(value)) {
          const expected = type === 'ref' ? 'BlockdevRef' : 'BlockdevRefOrNull';
          refuse(`Invalid parameter type for '${name}', expected: ${expected}`); // QAPI leaves the path out here
        }
        checkDriver(value, path);
        return;
      case 'BlockdevOptions':
        checkDriver(value, path);
        return;
      case 'BlockdevCreateOptions':
        checkUnion('driver:BlockdevDriver', 'driver', schema.formats, asObject(value, path), `${path}.`);
        return;
      case 'BlockDirtyBitmapOrStr':
        if (typeof value === 'string') return;
        // QAPI has no name for a member of a list.
        if (!isObject(value)) refuse(`Invalid parameter type for 'null', expected: ${texts.bitmapOrName}`);
        checkStructure([BITMAP], value, `${path}.`);
        return;
      case 'TransactionAction':
        checkAction(asObject(value, path), `${path}.`);
        return;
    }
    const structure = STRUCTURES[type] ?? schema.structures[type];
    if (structure !== undefined) checkStructure([members(structure)], asObject(value, path), `${path}.`);
  }

  function checkDriver(value: Json, path: string): void {
    const base = schema.commands['blockdev-add'] ?? 'driver:BlockdevDriver';
    checkUnion(base, 'driver', schema.drivers, asObject(value, path), `${path}.`);
  }

  function checkAction(value: Arguments, path: string): void {
    const type = value['type'];
    if (type === undefined) refuse(`Parameter '${path}type' is missing`);
    const data = schema.actions[String(type)];
    if (data === undefined) refuse(texts.enumValue('type', String(type)));
    if (value['data'] === undefined) refuse(`Parameter '${path}data' is missing`);
    checkStructure([members(data)], asObject(value['data'], `${path}data`), `${path}data.`);
    checkStructure([ACTION], value, path);
  }

  return {
    check(command, args) {
      const spec = schema.commands[command] ?? '';
      if (command === 'blockdev-add') checkUnion(spec, 'driver', schema.drivers, args, '');
      else if (command === 'block-export-add') checkUnion(spec, 'type', EXPORT_MEMBERS, args, '');
      else if (command !== 'object-add') checkStructure([members(spec)], args, '');
      else checkMembers(members(spec), args, '');
    },
  };
}

const BITMAP = members('node:str name:str');
const ACTION = members('type:str data:any');

const [UINT32_END, INT64_END, UINT64_END] = [2 ** 32, 2 ** 63, 2 ** 64];
/** Members that are narrower than what the schema tells of them. */
const UINT32: ReadonlySet<string> = new Set(['granularity']);

function checkInteger(type: string, value: Json, path: string, isNarrow: boolean): void {
  if (type === 'int' && !isNarrow) {
    if (!isInteger(value, INT64_END)) refuse(`Invalid parameter type for '${path}', expected: integer`);
    return;
  }
  if (!isInteger(value, UINT64_END)) refuse(`Parameter '${path}' expects uint64`);
  if (isNarrow && (value < 0 || value >= UINT32_END)) refuse(`Parameter '${path}' expects uint32_t`);
}

/** A number below 0 is one above for those that have no sign. */
function isInteger(value: Json, end: number): value is number | bigint {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  return isWhole && value >= -INT64_END && value < end;
}

function asObject(value: Json, path: string): Arguments {
  if (!isObject(value)) refuse(`Invalid parameter type for '${path}', expected: object`);
  return value;
}

function isObject(value: Json): value is Arguments {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

export type Arguments = { readonly [name: string]: Json };
