/**
 * Writes src/qmp/schema.generated.ts, and src/qmp/shapes.generated.ts beside it, from the schema that a real QEMU reports, cut to the commands and events named
 * below. Run: `node scripts/generate-qmp-types.ts [QEMU_BINARY]`. The output depends on that QEMU's version only.
 * QEMU hides the names of its types, so each is named here by the first path that leads to it.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlocksagaError, invariant } from '../src/errors.ts';
import { openQmpClient, type QmpClient } from '../src/qmp/client.ts';
import { sleep, systemClock } from '../src/qmp/clock.ts';
import { connectSocket } from '../src/qmp/socket.ts';
import { type Entity, type Member, shapesText } from './qmp-shapes.ts';

/** Commands to generate; one that the binary lacks stops the run, so that the list stays true. */
const COMMANDS = `
  block-commit block-dirty-bitmap-add block-dirty-bitmap-clear block-dirty-bitmap-disable block-dirty-bitmap-enable
  block-dirty-bitmap-merge block-dirty-bitmap-remove block-export-add block-export-del block-job-cancel
  block-job-complete block-job-dismiss block-job-finalize block-job-pause block-job-resume block-job-set-speed
  block-stream block_resize blockdev-add blockdev-backup blockdev-create blockdev-del blockdev-mirror blockdev-reopen
  blockdev-snapshot blockdev-snapshot-delete-internal-sync blockdev-snapshot-internal-sync blockdev-snapshot-sync
  change-backing-file cont device_del drive-mirror human-monitor-command job-cancel job-complete job-dismiss
  job-finalize job-pause job-resume nbd-server-add nbd-server-remove nbd-server-start nbd-server-stop object-add
  object-del qmp_capabilities qom-get qom-list qom-list-types qom-set query-block query-block-exports
  query-block-jobs query-blockstats query-commands query-jobs query-migrate query-name query-named-block-nodes query-qmp-schema query-status
  query-uuid query-version quit stop transaction x-debug-query-block-graph
`;

const EVENTS = `
  BLOCK_EXPORT_DELETED BLOCK_IO_ERROR BLOCK_JOB_CANCELLED BLOCK_JOB_COMPLETED BLOCK_JOB_ERROR BLOCK_JOB_PENDING
  BLOCK_JOB_READY DEVICE_DELETED JOB_STATUS_CHANGE MIGRATION RESET RESUME SHUTDOWN STOP WAKEUP
`;

const DRIVERS = `
  blkdebug copy-on-read file host_device luks nbd null-co qcow2 qed raw throttle vdi vmdk
`;

/** QEMU's own names (qapi/*.json) for the types that code here speaks of, by the path that leads to them. */
const NAMES: Record<string, string> = {
  'blockdev-add': 'BlockdevOptions',
  'blockdev-add.detect-zeroes': 'BlockdevDetectZeroesOptions',
  'blockdev-add.discard': 'BlockdevDiscardOptions',
  'blockdev-add.cache': 'BlockdevCacheOptions',
  'blockdev-add.qcow2.file': 'BlockdevRef',
  'blockdev-add.qcow2.backing': 'BlockdevRefOrNull',
  'blockdev-create.options': 'BlockdevCreateOptions',
  'block-export-add': 'BlockExportOptions',
  'object-add': 'ObjectOptions',
  'transaction.actions': 'TransactionAction',
  'transaction.properties': 'TransactionProperties',
  'block-commit.on-error': 'BlockdevOnError',
  'blockdev-mirror.sync': 'MirrorSyncMode',
  'blockdev-mirror.copy-mode': 'MirrorCopyMode',
  'blockdev-snapshot-sync.mode': 'NewImageMode',
  'query-jobs.returns': 'JobInfo',
  'query-jobs.returns.type': 'JobType',
  'JOB_STATUS_CHANGE.status': 'JobStatus',
  'query-block.returns': 'BlockInfo',
  'query-block.returns.inserted': 'BlockDeviceInfo',
  'query-block.returns.inserted.image': 'ImageInfo',
  'query-block.returns.inserted.dirty-bitmaps': 'BlockDirtyInfo',
  'query-block-jobs.returns': 'BlockJobInfo',
  'query-block-exports.returns': 'BlockExportInfo',
  'query-blockstats.returns': 'BlockStats',
  'query-blockstats.returns.stats': 'BlockDeviceStats',
  'query-migrate.returns': 'MigrationInfo',
  'query-migrate.returns.status': 'MigrationStatus',
  'query-status.returns': 'StatusInfo',
  'query-status.returns.status': 'RunState',
  'query-qmp-schema.returns': 'SchemaInfo',
  'qom-list.returns': 'ObjectPropertyInfo',
  'query-version.returns': 'VersionInfo',
};

/** Unions cut to what this project uses: the cases that stay. */
const CASES: Record<string, readonly string[]> = {
  BlockdevOptions: words(DRIVERS),
  BlockdevCreateOptions: ['file', 'luks', 'qcow2', 'qed', 'vdi', 'vmdk'],
  ObjectOptions: ['throttle-group'],
};

const BUILTIN: Record<string, string> = {
  string: 'string',
  boolean: 'boolean',
  int: 'number',
  number: 'number',
  null: 'null',
  value: 'Json',
};

class TypeWriter {
  readonly #entities: ReadonlyMap<string, Entity>;
  readonly #names = new Map<string, string>();
  readonly #texts = new Map<string, string>();
  /** Every path walked, with the schema's name for the type there. */
  readonly #paths = new Map<string, string>();

  constructor(entities: readonly Entity[]) {
    this.#entities = new Map(entities.map(entity => [entity.name, entity]));
  }

  /** The text of the whole file, types in order of name. */
  write(version: string): string {
    this.#tables();
    // Walked once to learn the paths; a name from NAMES now goes before the path that happens to come first.
    this.#names.clear();
    this.#texts.clear();
    for (const [path, name] of Object.entries(NAMES)) {
      const schemaName = this.#paths.get(path);
      invariant(schemaName, `NAMES has ${path}, to which nothing leads`);
      this.#names.set(schemaName, name);
    }
    const tables = this.#tables();
    const types = [...this.#texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
    return [header(version), ...tables, ...types].join('\n');
  }

  #tables(): string[] {
    return [
      this.#table('QmpCommands', words(COMMANDS), (entity, name) => {
        const returns = this.#type(entity['ret-type'] ?? '', `${name}.returns`);
        return `{ readonly arguments: ${this.#type(entity['arg-type'] ?? '', name)}; readonly returns: ${returns} }`;
      }),
      this.#table('QmpEvents', words(EVENTS), (entity, name) => this.#type(entity['arg-type'] ?? '', name)),
    ];
  }

  #table(title: string, names: readonly string[], line: (entity: Entity, name: string) => string): string {
    const lines = names.map(name => {
      const entity = this.#entities.get(name);
      invariant(entity, `this QEMU has no ${name}`);
      return `  readonly ${quoted(name)}: ${line(entity, name)};\n`;
    });
    return `export interface ${title} {\n${lines.join('')}}\n`;
  }

  /** How TypeScript writes the type with this schema name; a type with members gets a name of its own. */
  #type(schemaName: string, path: string): string {
    const entity = this.#entities.get(schemaName);
    invariant(entity, `the schema refers to ${schemaName}, which it lacks (at ${path})`);
    switch (entity['meta-type']) {
      case 'builtin':
        return BUILTIN[entity['json-type'] ?? ''] ?? 'Json';
      case 'array':
        return `readonly ${this.#type(entity['element-type'] ?? '', path)}[]`;
      case 'object':
        if (!entity.members?.length && !entity.variants) return 'Empty';
    }
    this.#paths.set(path, schemaName);
    const name = this.#names.get(schemaName) ?? this.#pathName(path);
    this.#names.set(schemaName, name);
    if (!this.#texts.has(name)) {
      this.#texts.set(name, ''); // A type may lead back to itself.
      this.#texts.set(name, this.#declaration(entity, name, path));
    }
    return name;
  }

  #pathName(path: string): string {
    const root = this.#entities.get(path)?.['meta-type'];
    const name = pascal(path) + (root === 'command' ? 'Arguments' : root === 'event' ? 'Event' : '');
    invariant(!this.#texts.has(name), `two types would be called ${name}: give ${path} a name of its own`);
    return name;
  }

  #declaration(entity: Entity, name: string, path: string): string {
    if (entity['meta-type'] === 'enum')
      return union(
        name,
        (entity.values ?? []).map(value => `'${value}'`),
      );
    const members = (entity.members ?? []).filter((member): member is Member => 'name' in member);
    if (entity['meta-type'] === 'alternate') {
      const forms = (entity.members ?? []).map(({ type }, at) => this.#type(type, `${path}.form${at}`));
      return union(name, forms);
    }
    if (!entity.variants) return `export interface ${name} {\n${this.#members(members, path)}}\n`;

    const shared = this.#members(
      members.filter(member => member.name !== entity.tag),
      path,
    );
    const cases = entity.variants
      .filter(variant => CASES[name]?.includes(variant.case) ?? true)
      .map(variant => {
        const own = this.#entities.get(variant.type);
        const ownPath = `${path}.${variant.case}`;
        const caseName = name + pascal(variant.case);
        const tag = `  readonly ${quoted(entity.tag ?? '')}: '${variant.case}';\n`;
        if (own?.variants) {
          const text = `{\n${tag}${shared}} & ${this.#type(variant.type, ownPath)}`;
          return { caseName, text: `export type ${caseName} = ${text};\n` };
        }
        const ownMembers = (own?.members ?? []).filter((member): member is Member => 'name' in member);
        const base = shared === '' ? '' : ` extends ${name}Base`;
        return {
          caseName,
          text: `export interface ${caseName}${base} {\n${tag}${this.#members(ownMembers, ownPath)}}\n`,
        };
      });
    const base = shared === '' ? [] : [`export interface ${name}Base {\n${shared}}\n`];
    return [
      union(
        name,
        cases.map(({ caseName }) => caseName),
      ),
      ...base,
      ...cases.map(({ text }) => text),
    ].join('\n');
  }

  #members(members: readonly Member[], path: string): string {
    return members
      .map(({ name, type, ...rest }) => {
        const optional = 'default' in rest ? '?' : '';
        return `  readonly ${quoted(name)}${optional}: ${this.#type(type, `${path}.${name}`)};\n`;
      })
      .join('');
  }
}

function header(version: string): string {
  return `/**
 * QMP's commands and events as types. Generated from query-qmp-schema of QEMU ${version} by
 * scripts/generate-qmp-types.ts, which holds the list of what is kept; do not edit. Integers are typed as \`number\`;
 * at run time one past 2^53 is a \`bigint\`, which only absurd sizes reach.
 */

import type { Json } from './transport.ts';

/** An object without members. */
export type Empty = { readonly [key: string]: never };
`;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '');
}

function quoted(name: string): string {
  return /^[a-z_]\w*$/i.test(name) ? name : `'${name}'`;
}

function pascal(path: string): string {
  return path
    .split(/[^a-zA-Z0-9]+/)
    .map(word => (/^[A-Z]+$/.test(word) ? word.charAt(0) + word.slice(1).toLowerCase() : word))
    .map(word => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

function union(name: string, types: readonly string[]): string {
  const line = `export type ${name} = ${types.join(' | ')};\n`;
  return line.length <= 111
    ? line
    : `export type ${name} =\n${types.map(type => `  | ${type}`).join('\n')};\n`;
}

const STARTS_WITHIN_MS = 10_000;

/** A QEMU without machine or disks, for as long as `use` takes. */
async function withQemu<T>(binary: string, use: (client: QmpClient) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-schema-'));
  const socket = join(folder, 'qmp.sock');
  const qemu = spawn(
    binary,
    ['-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', `unix:${socket},server=on,wait=off`],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = once(qemu, 'exit');
  try {
    const client = await connectWithin(socket, systemClock.now() + STARTS_WITHIN_MS);
    const result = await use(client);
    await client.execute('quit');
    await ended;
    return result;
  } finally {
    if (qemu.exitCode === null) qemu.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function connectWithin(socket: string, deadline: number): Promise<QmpClient> {
  for (;;) {
    try {
      return await openQmpClient(connectSocket(socket));
    } catch (error) {
      if (!(error instanceof BlocksagaError) || systemClock.now() > deadline) throw error;
      await sleep(systemClock, 50);
    }
  }
}

const [types, shapes] = await withQemu(process.argv[2] ?? 'qemu-system-x86_64', async client => {
  const { major, minor, micro } = client.version;
  const version = `${major}.${minor}.${micro}`;
  const schema = (await client.execute('query-qmp-schema')) as unknown as readonly Entity[];
  return [new TypeWriter(schema).write(version), shapesText(schema, version)] as const;
});
writeFileSync(new URL('../src/qmp/schema.generated.ts', import.meta.url), types);
writeFileSync(new URL('../src/qmp/shapes.generated.ts', import.meta.url), shapes);
