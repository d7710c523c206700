/**
 * The shapes of what QEMU answers and tells, as data for `src/qmp/check-shape.ts`: from the schema that a real QEMU reports,
 * cut to the commands whose answers are read. What the code counts on is required; all else may be missing, since QEMUs
 * older and newer than the one at hand lack some of it, but is of its type where it is there.
 */
import { invariant } from '../src/errors.ts';

/** The commands whose answers something in `src` reads; those that give nothing are left out, as are `qom-get` and texts. */
const ANSWERS = [
  'human-monitor-command',
  'qom-list',
  'qom-list-types',
  'query-block',
  'query-block-exports',
  'query-block-jobs',
  'query-blockstats',
  'query-commands',
  'query-jobs',
  'query-migrate',
  'query-name',
  'query-named-block-nodes',
  'query-qmp-schema',
  'query-status',
  'query-uuid',
  'query-version',
  'x-debug-query-block-graph',
] as const;

const EVENTS = [
  'BLOCK_EXPORT_DELETED',
  'BLOCK_IO_ERROR',
  'BLOCK_JOB_CANCELLED',
  'BLOCK_JOB_COMPLETED',
  'BLOCK_JOB_ERROR',
  'BLOCK_JOB_PENDING',
  'BLOCK_JOB_READY',
  'DEVICE_DELETED',
  'JOB_STATUS_CHANGE',
  'MIGRATION',
  'RESET',
  'SHUTDOWN',
] as const;

/** By the path that leads to a type: the members without which nothing here works. Integers among them are safe ones. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  'qom-list': ['name', 'type'],
  'qom-list-types': ['name'],
  'query-block': ['device'],
  'query-block.inserted': ['file', 'ro', 'drv'],
  'query-block.inserted.dirty-bitmaps': ['count'],
  'query-block.inserted.image': ['filename', 'format', 'virtual-size'],
  'query-block-exports': ['id'],
  'query-block-jobs': ['type', 'device', 'len', 'offset', 'speed'],
  'query-blockstats': ['stats'],
  'query-blockstats.stats': ['wr_highest_offset'],
  'query-commands': ['name'],
  'query-jobs': ['id', 'type', 'status', 'current-progress', 'total-progress'],
  'query-qmp-schema': ['name', 'meta-type'],
  'query-qmp-schema.array': ['element-type'],
  'query-qmp-schema.object': ['members'],
  'query-qmp-schema.object.members': ['name', 'type'],
  'query-qmp-schema.object.variants': ['case', 'type'],
  'query-qmp-schema.command': ['arg-type', 'ret-type'],
  'query-status': ['running', 'status'],
  'query-uuid': ['UUID'],
  'x-debug-query-block-graph': ['nodes', 'edges'],
  'x-debug-query-block-graph.nodes': ['id', 'type', 'name'],
  'x-debug-query-block-graph.edges': ['parent', 'child', 'name'],
  BLOCK_JOB_CANCELLED: ['type', 'device'],
  BLOCK_JOB_COMPLETED: ['type', 'device'],
  BLOCK_JOB_READY: ['device'],
  JOB_STATUS_CHANGE: ['id', 'status'],
  MIGRATION: ['status'],
};

/** Of these no other members are looked into: nothing reads them, and there are many. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  'query-blockstats': ['stats', 'node-name'],
  'query-blockstats.stats': ['wr_highest_offset'],
};

/** One type of the schema, as QEMU reports it (qapi/introspect.json). */
export interface Entity {
  readonly name: string;
  readonly 'meta-type': 'builtin' | 'enum' | 'array' | 'object' | 'alternate' | 'command' | 'event';
  readonly 'json-type'?: string;
  readonly values?: readonly string[];
  readonly members?: readonly (Member | { readonly type: string })[];
  readonly 'element-type'?: string;
  readonly tag?: string;
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
  readonly 'arg-type'?: string;
  readonly 'ret-type'?: string;
}

export interface Member {
  readonly name: string;
  readonly type: string;
  readonly default?: null;
}

/** The text of `src/qmp/shapes.generated.ts`. */
export function shapesText(entities: readonly Entity[], version: string): string {
  return new ShapeWriter(entities).write(version);
}

class ShapeWriter {
  readonly #entities: ReadonlyMap<string, Entity>;
  /** By the schema's name, under the first path that leads there. */
  readonly #names = new Map<string, string>();
  readonly #objects = new Map<string, readonly string[]>();
  readonly #unmet = new Set(Object.keys(REQUIRED));

  constructor(entities: readonly Entity[]) {
    this.#entities = new Map(entities.map(entity => [entity.name, entity]));
  }

  write(version: string): string {
    const answers = ANSWERS.map(name => this.#line(name, this.#of(this.#entity(name)['ret-type'], name)));
    const events = EVENTS.map(name => this.#line(name, this.#of(this.#entity(name)['arg-type'], name)));
    invariant(this.#unmet.size === 0, `nothing leads to ${[...this.#unmet].join(', ')}`);
    const objects = [...this.#objects].map(
      ([name, lines]) => `  '${name}': {\n${lines.map(line => `  ${line}`).join('')}  },\n`,
    );
    return `/**
 * The shapes of QMP's answers and events, for check-shape.ts. Generated from query-qmp-schema of QEMU ${version} by
 * scripts/generate-qmp-types.ts; do not edit. \`[]\` is a list, \`?\` a member that may be missing, \`any\` is not looked into,
 * \`safe\` an integer that code calculates with; other words name an object of the table. \`TAG=case\` has the members of one
 * case of a union.
 */

type Table = Readonly<Record<string, string>>;

/** What commands answer. */
export const ANSWERS: Table = {
${answers.join('')}};

/** The data of events. */
export const EVENTS: Table = {
${events.join('')}};

export const OBJECTS: Readonly<Record<string, Table>> = {
${objects.join('')}};
`;
  }

  #entity(name: string | undefined): Entity {
    const entity = this.#entities.get(name ?? '');
    invariant(entity, `this QEMU has no ${name}`);
    return entity;
  }

  #line(name: string, shape: string): string {
    return `  '${name}': '${shape}',\n`;
  }

  #of(type: string | undefined, path: string, isUsed = false): string {
    const entity = this.#entity(type);
    switch (entity['meta-type']) {
      case 'array':
        return `${this.#of(entity['element-type'], path)}[]`;
      case 'enum':
        return 'string'; // other versions know other values
      case 'object':
        return this.#object(entity, path);
      case 'builtin': {
        const shape = entity['json-type'] ?? 'any';
        if (shape === 'int') return isUsed ? 'safe' : 'number';
        return ['string', 'boolean', 'number'].includes(shape) ? shape : 'any';
      }
      default:
        return 'any';
    }
  }

  #object(entity: Entity, path: string): string {
    const known = this.#names.get(entity.name);
    if (known !== undefined) return known;
    this.#names.set(entity.name, path);
    this.#objects.set(path, []); // a type may lead back to itself
    this.#objects.set(path, [
      ...this.#members(entity, path),
      ...(entity.variants ?? []).flatMap(({ case: name, type }) => {
        if (!(`${path}.${name}` in REQUIRED)) return [];
        const lines = this.#members(this.#entity(type), `${path}.${name}`);
        this.#objects.set(`${path}.${name}`, lines);
        return [this.#line(`${entity.tag ?? ''}=${name}`, `${path}.${name}`)];
      }),
    ]);
    return path;
  }

  #members(entity: Entity, path: string): readonly string[] {
    this.#unmet.delete(path);
    const required = REQUIRED[path] ?? [];
    const members = (entity.members ?? []).filter((member): member is Member => 'name' in member);
    for (const name of required) {
      const found = members.find(member => member.name === name);
      invariant(found !== undefined && !('default' in found), `${path} has no ${name} that is always there`);
    }
    const only = ONLY[path];
    return members.flatMap(({ name, type }) => {
      if (only?.includes(name) === false) return [];
      const isUsed = required.includes(name);
      const shape = this.#of(type, `${path}.${name}`, isUsed);
      if (shape.startsWith('any') && !isUsed) return [];
      return [this.#line(name, isUsed ? shape : `${shape}?`)];
    });
  }
}
