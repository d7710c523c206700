/** query-qmp-schema: the version's table in QEMU's own introspection form (docs/devel/qapi-code-gen.rst). */

import type { Json } from '../../qmp/transport.ts';
import { members } from '../state/arguments.ts';
import type { Context } from '../state/context.ts';
import type { SchemaTable } from '../state/schema.generated.ts';

const BUILTIN: Readonly<Record<string, string>> = {
  str: 'string',
  int: 'int',
  bool: 'boolean',
  any: 'value',
};

const answers = new WeakMap<SchemaTable, Json>();

export function querySchema(ctx: Context): Json {
  const { schema } = ctx.profile;
  const known = answers.get(schema);
  if (known !== undefined) return known;
  const answer = describe(schema);
  answers.set(schema, answer);
  return answer;
}

function describe(schema: SchemaTable): Json {
  const types = new Map<string, Json>();
  const objectType = (name: string, spec: string, more: { readonly [key: string]: Json } = {}): string => {
    types.set(name, {
      'meta-type': 'object',
      name,
      members: members(spec).map(one => ({
        name: one.name,
        type: typeName(one.type),
        ...(one.optional ? { default: null } : {}),
      })),
      ...more,
    });
    return name;
  };
  const typeName = (type: string): string => {
    if (type.startsWith('[')) {
      const element = typeName(type.slice(1, -1));
      types.set(`[${element}]`, { 'meta-type': 'array', name: `[${element}]`, 'element-type': element });
      return `[${element}]`;
    }
    const builtin = BUILTIN[type];
    if (builtin !== undefined) {
      types.set(type, { 'meta-type': 'builtin', name: type, 'json-type': builtin });
      return type;
    }
    const values = schema.enums[type];
    if (values !== undefined) types.set(type, enumType(type, values));
    else if (!types.has(type)) objectType(type, '');
    return type;
  };
  const variants = (name: string, tag: string, base: string, cases: readonly string[]): void => {
    objectType(name, base, {
      tag,
      variants: cases.map(one => ({ case: one, type: objectType(`${name}-${one}`, '') })),
    });
  };
  variants(
    'BlockdevOptions',
    'driver',
    schema.commands['blockdev-add'] ?? '',
    words(schema, 'BlockdevDriver'),
  );
  const actions = Object.keys(schema.actions);
  types.set('TransactionActionKind', enumType('TransactionActionKind', actions.join(' ')));
  objectType('TransactionAction', '', {
    members: [{ name: 'type', type: 'TransactionActionKind' }],
    tag: 'type',
    variants: Object.entries(schema.actions).map(([name, spec]) => ({
      case: name,
      type: objectType(`TransactionAction-${name}`, spec),
    })),
  });
  variants('ObjectOptions', 'qom-type', schema.commands['object-add'] ?? '', words(schema, 'ObjectType'));
  const commands = Object.entries(schema.commands).map(([name, spec]) => ({
    'meta-type': 'command',
    name,
    'arg-type': wholeArguments(name) ?? objectType(`${name}-arg`, spec),
    'ret-type': 'any',
    ...(name === 'qmp_capabilities' ? { 'allow-oob': true } : {}),
    ...featuresOf(schema, name),
  }));
  typeName('any');
  return [...commands, ...types.values()];
}

/** The tables have no features; of all those of QEMU, this one is of use here. It came with 5.0, exports with 5.2. */
function featuresOf({ commands }: SchemaTable, command: string): { readonly [key: string]: Json } {
  const has = command === 'blockdev-snapshot' && commands['block-export-add'] !== undefined;
  return has ? { features: ['allow-write-only-overlay'] } : {};
}

function wholeArguments(command: string): string | undefined {
  if (command === 'blockdev-add') return 'BlockdevOptions';
  return command === 'object-add' ? 'ObjectOptions' : undefined;
}

function words(schema: SchemaTable, name: string): readonly string[] {
  return (schema.enums[name] ?? '').split(' ');
}

function enumType(name: string, spec: string): Json {
  const values = spec.split(' ');
  return { 'meta-type': 'enum', name, values, members: values.map(value => ({ name: value })) };
}
