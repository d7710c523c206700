/**
 * What the QEMU at hand can do, read from its own schema and never from its version. Looks, decides nothing, keeps nothing.
 */

import { BlocksagaError } from '../errors.ts';
import type { QmpClient } from './client.ts';
import type { SchemaInfo, SchemaInfoObject } from './schema.generated.ts';

/** The abilities that this project asks about, and what each means in QEMU's schema. */
const ABILITIES = {
  transaction: schema => schema.command('transaction'),
  /** As an action of `transaction`, for bitmaps that stay (QEMU 2.10). */
  'blockdev-snapshot': schema => schema.cases('transaction', 'actions').includes('blockdev-snapshot'),
  /** As an action of `transaction`, for bitmaps that stay (QEMU 2.10). */
  'blockdev-snapshot-sync': schema =>
    schema.cases('transaction', 'actions').includes('blockdev-snapshot-sync'),
  /** The stable form, which takes a list and applies all of it or none (QEMU 6.1). */
  'blockdev-reopen': schema => schema.isList('blockdev-reopen', 'options'),
  /** As an action of `transaction`, for bitmaps that stay (QEMU 2.10). */
  'block-dirty-bitmap-add': schema =>
    schema.cases('transaction', 'actions').includes('block-dirty-bitmap-add') &&
    schema.member('block-dirty-bitmap-add', 'persistent'),
  /** As an action of `transaction`: what one bitmap has recorded is put into another (QEMU 4.0). */
  'block-dirty-bitmap-merge': schema =>
    schema.cases('transaction', 'actions').includes('block-dirty-bitmap-merge'),
  /** A mirror's target may be put on its backing image while it is mirrored to (QEMU 5.0). */
  'allow-write-only-overlay': schema => schema.feature('blockdev-snapshot', 'allow-write-only-overlay'),
  'blockdev-add': schema => schema.command('blockdev-add'),
  'blockdev-create': schema => schema.command('blockdev-create'),
  'blockdev-mirror': schema => schema.command('blockdev-mirror'),
  'drive-mirror': schema => schema.command('drive-mirror'),
  'block-stream': schema => schema.command('block-stream'),
  'block-commit': schema => schema.command('block-commit'),
  /** A merge can be told how the header of the image above is to name the one below (QEMU 2.1). */
  'backing-file': schema =>
    schema.member('block-commit', 'backing-file') && schema.member('block-stream', 'backing-file'),
  /** A merge names the format of an image on a protocol node raw, not by its protocol (QEMU 9.0). */
  'backing-mask-protocol': schema =>
    schema.member('block-commit', 'backing-mask-protocol') &&
    schema.member('block-stream', 'backing-mask-protocol'),
  /** `block-commit` of the active image (QEMU 2.0). */
  'active-commit': schema => schema.command('block-commit'),
  /** Jobs have names of their own, and are not called by their disks (QEMU 2.7). */
  'job-id': schema => schema.member('drive-mirror', 'job-id'),
  /** Jobs can be paused; one that is may be cancelled by force only (QEMU 1.3). */
  'block-job-pause': schema => schema.command('block-job-pause'),
  /** Jobs that can be asked about, and are there until they are dismissed (QEMU 3.0). */
  'query-jobs': schema => schema.command('query-jobs'),
  'job-complete': schema => schema.command('job-complete'),
  'block-job-change': schema => schema.command('block-job-change'),
  /** `blockdev-mirror` with `auto-finalize` (QEMU 3.1). */
  'manual-finalize': schema => schema.member('blockdev-mirror', 'auto-finalize'),
  /** `blockdev-mirror` with `auto-dismiss`: jobs can be had to stay until their verdict is read (QEMU 3.1). */
  'auto-dismiss': schema => schema.member('blockdev-mirror', 'auto-dismiss'),
  /** `blockdev-mirror` with `copy-mode` (QEMU 3.0). */
  'copy-mode': schema => schema.member('blockdev-mirror', 'copy-mode'),
  /** The filter driver of `blockdev-add`. */
  throttle: schema => schema.cases('blockdev-add').includes('throttle'),
  /** The object that a throttle filter needs. */
  'throttle-group': schema => schema.cases('object-add').includes('throttle-group'),
} as const satisfies Record<string, (schema: Schema) => boolean>;

/** A name that {@link Capabilities.has} answers for. */
export type Capability = keyof typeof ABILITIES;

/** What one QEMU can do. */
export interface Capabilities {
  /** Throws REQUEST_INVALID for a name that is not in {@link CAPABILITIES}, so that a typing error is no "no". */
  has(name: Capability): boolean;
  /** All that it has, in alphabetical order. */
  readonly names: readonly Capability[];
}

/** Every name there is, in alphabetical order. */
export const CAPABILITIES: readonly Capability[] = Object.keys(ABILITIES).filter(isCapability).sort();

/**
 * Asks QEMU; `without` takes names away again, to act as an older QEMU would make us.
 * Throws REQUEST_INVALID for an unknown name in `without`, and as `execute`.
 *
 * @example
 * ```ts
 * const capabilities = await readCapabilities(client, ['blockdev-reopen']);
 * console.log(capabilities.has('blockdev-reopen')); // false
 * ```
 */
export async function readCapabilities(
  client: QmpClient,
  without: readonly string[] = [],
): Promise<Capabilities> {
  for (const name of without) known(name);
  return withoutCapabilities(capabilitiesOf(await readAbilities(client)), without);
}

/** The same without some, to act as an older QEMU would make us. Throws REQUEST_INVALID for an unknown name. */
export function withoutCapabilities(capabilities: Capabilities, without: readonly string[]): Capabilities {
  const taken = new Set(without.map(known));
  return capabilitiesOf(capabilities.names.filter(name => !taken.has(name)));
}

/** Capabilities that are known beforehand. */
export function capabilitiesOf(names: readonly Capability[]): Capabilities {
  const sorted = [...new Set(names)].sort();
  return { names: sorted, has: name => sorted.includes(known(name)) };
}

async function readAbilities(client: QmpClient): Promise<readonly Capability[]> {
  const [reply] = await client.pipeline([{ execute: 'query-qmp-schema' }]);
  if (reply.ok) {
    const schema = indexed(reply.value);
    const found = CAPABILITIES.filter(name => ABILITIES[name](schema));
    // Before QEMU 6.0 `object-add` was no union in the schema; the list of types tells.
    if (found.includes('throttle-group') || schema.cases('object-add').length > 0) return found;
    const types = await client.execute('qom-list-types', { implements: 'throttle-group' });
    return types.length > 0 ? [...found, 'throttle-group'] : found;
  }
  if (reply.error.qmp?.class !== 'CommandNotFound') throw reply.error;
  const commands = new Set((await client.execute('query-commands')).map(command => command.name));
  return CAPABILITIES.filter(name => (BY_COMMANDS[name] ?? [name]).every(command => commands.has(command)));
}

/**
 * QEMU before 2.5 has no schema to ask: what its commands tell of abilities that are finer than one. The others of those
 * came later.
 */
const BY_COMMANDS: { readonly [name in Capability]?: readonly string[] } = {
  'blockdev-snapshot': ['query-qmp-schema'],
  'block-dirty-bitmap-add': ['query-qmp-schema'],
  'block-dirty-bitmap-merge': ['query-qmp-schema'],
  'blockdev-snapshot-sync': ['transaction', 'blockdev-snapshot-sync'],
  // Both came with QEMU 2.1.
  'backing-file': ['change-backing-file'],
  // Both came with QEMU 2.0.
  'active-commit': ['block-commit', 'query-named-block-nodes'],
};

/** An in-process QEMU answers with the very same object each time, and to index it takes longer than to ask. */
const indexes = new WeakMap<readonly SchemaInfo[], Schema>();

function indexed(entities: readonly SchemaInfo[]): Schema {
  const known = indexes.get(entities);
  if (known !== undefined) return known;
  const schema = new Schema(entities);
  indexes.set(entities, schema);
  return schema;
}

/** One big reply, indexed. */
class Schema {
  readonly #entities: ReadonlyMap<string, SchemaInfo>;

  constructor(entities: readonly SchemaInfo[]) {
    this.#entities = new Map(entities.map(entity => [entity.name, entity]));
  }

  command(name: string): boolean {
    return this.#entities.get(name)?.['meta-type'] === 'command';
  }

  feature(command: string, feature: string): boolean {
    return this.#entities.get(command)?.features?.includes(feature) ?? false;
  }

  member(command: string, member: string): boolean {
    return this.#arguments(command)?.members.some(each => each.name === member) ?? false;
  }

  isList(command: string, member: string): boolean {
    return this.#memberType(command, member)?.['meta-type'] === 'array';
  }

  /** The cases of the union that a command's arguments, or the elements of one argument, are. */
  cases(command: string, member?: string): readonly string[] {
    const type = member === undefined ? this.#arguments(command) : this.#memberType(command, member);
    const element = type?.['meta-type'] === 'array' ? this.#entities.get(type['element-type']) : type;
    return element?.['meta-type'] === 'object' ? (element.variants ?? []).map(variant => variant.case) : [];
  }

  #arguments(command: string): SchemaInfoObject | undefined {
    const entity = this.#entities.get(command);
    const type = entity?.['meta-type'] === 'command' ? this.#entities.get(entity['arg-type']) : undefined;
    return type?.['meta-type'] === 'object' ? type : undefined;
  }

  #memberType(command: string, member: string): SchemaInfo | undefined {
    const found = this.#arguments(command)?.members.find(each => each.name === member);
    return found && this.#entities.get(found.type);
  }
}

function isCapability(name: string): name is Capability {
  return Object.hasOwn(ABILITIES, name);
}

function known(name: string): Capability {
  if (isCapability(name)) return name;
  throw new BlocksagaError(
    'REQUEST_INVALID',
    `no capability is called "${name}"; there are ${CAPABILITIES.join(', ')}`,
  );
}
