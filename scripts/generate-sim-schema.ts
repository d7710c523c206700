/**
 * Writes src/sim/state/schema.generated.ts from what real QEMUs report, cut to what the simulator answers. Run:
 * `node scripts/generate-sim-schema.ts [--out FILE] [QEMU_BINARY ...]`; without binaries, the one on the path and all that
 * were fetched. A version that is in the table and of which no binary is given stays as it is. QEMU hides the names of
 * its types, so they are given here by the member that leads to them.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BlocksagaError, invariant } from '../src/errors.ts';
import { openQmpClient, type QmpClient } from '../src/qmp/client.ts';
import { sleep, systemClock } from '../src/qmp/clock.ts';
import { connectSocket } from '../src/qmp/socket.ts';
import { SCHEMAS, type SchemaTable } from '../src/sim/state/schema.generated.ts';
import { fetchedQemus } from './qemu-versions.ts';

const COMMANDS = words(`
  transaction blockdev-snapshot blockdev-snapshot-sync drive-mirror blockdev-mirror blockdev-backup block-commit block-stream
  block-job-set-speed block-job-cancel block-job-pause block-job-resume block-job-complete block-job-finalize
  block-job-dismiss block-job-change job-cancel job-pause job-resume job-complete job-finalize job-dismiss query-jobs
  query-block-jobs query-block query-named-block-nodes blockdev-add blockdev-reopen blockdev-del blockdev-create
  change-backing-file block-dirty-bitmap-add block-dirty-bitmap-remove block-dirty-bitmap-clear
  block-dirty-bitmap-enable block-dirty-bitmap-disable block-dirty-bitmap-merge block-export-add block-export-del query-block-exports
  nbd-server-start nbd-server-stop block_resize qmp_capabilities query-version query-commands query-qmp-schema stop cont
  query-status quit human-monitor-command x-debug-query-block-graph query-uuid query-name qom-set qom-get qom-list
  object-add object-del query-migrate migrate migrate_cancel system_reset system_wakeup device_del eject
`);

const ACTIONS = words(`
  abort blockdev-snapshot blockdev-snapshot-sync blockdev-backup block-dirty-bitmap-add block-dirty-bitmap-remove
  block-dirty-bitmap-clear block-dirty-bitmap-enable block-dirty-bitmap-disable block-dirty-bitmap-merge
`);

/** QEMU's own names (qapi/*.json), by member, or by command and member where one member has several types. */
const NAMES: Readonly<Record<string, string>> = {
  actions: 'TransactionAction',
  properties: 'TransactionProperties',
  'completion-mode': 'ActionCompletionMode',
  mode: 'NewImageMode',
  'block-export-del.mode': 'BlockExportRemoveMode',
  sync: 'MirrorSyncMode',
  'on-source-error': 'BlockdevOnError',
  'on-target-error': 'BlockdevOnError',
  'on-error': 'BlockdevOnError',
  'copy-mode': 'MirrorCopyMode',
  'bitmap-mode': 'BitmapSyncMode',
  'on-cbw-error': 'OnCbwError',
  driver: 'BlockdevDriver',
  discard: 'BlockdevDiscardOptions',
  cache: 'BlockdevCacheOptions',
  'detect-zeroes': 'BlockdevDetectZeroesOptions',
  'blockdev-create.options': 'BlockdevCreateOptions',
  'blockdev-reopen.options': 'BlockdevOptions',
  'block-export-add.type': 'BlockExportType',
  'block-job-change.type': 'JobType',
  addr: 'SocketAddressLegacy',
  enable: 'QMPCapability',
  'qom-type': 'ObjectType',
};

/** Enums that go into the table; only these values of them where there is a list. */
const ENUMS = words(`
  MirrorSyncMode MirrorCopyMode BitmapSyncMode OnCbwError NewImageMode BlockdevOnError ActionCompletionMode BlockdevDiscardOptions
  BlockdevDetectZeroesOptions BlockExportType QMPCapability BlockdevDriver ObjectType JobType
`);
const VALUES: Readonly<Record<string, readonly string[]>> = {
  BlockdevDriver: words('copy-on-read file qcow2 qed raw throttle vdi vmdk'),
  ObjectType: ['throttle-group'],
};

/**
 * 5.2 takes any object by its name and properties; the simulator has one, whose name it checks in all versions. A
 * migration goes nowhere there, so that its address is all that it takes.
 */
const FIXED: Readonly<Record<string, string>> = {
  'object-add': 'qom-type:ObjectType id:str',
  migrate: 'uri:str',
};

const BUILTIN: Readonly<Record<string, string>> = {
  string: 'str',
  int: 'int',
  boolean: 'bool',
  value: 'any',
};

/** Members that are a name or something else, or mean nothing here; the simulator takes them as they come. */
const UNCHECKED = new Set([
  'block-export-add.iothread',
  'block-dirty-bitmap-merge.bitmaps',
  'blockdev-backup.x-perf',
]);

interface Entity {
  readonly name: string;
  readonly 'meta-type': string;
  readonly 'json-type'?: string;
  readonly values?: readonly string[];
  readonly members?: readonly { readonly name?: string; readonly type: string; readonly default?: null }[];
  readonly 'element-type'?: string;
  readonly 'arg-type'?: string;
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
}

/** The table of one version. */
function tableOf(entities: readonly Entity[]): SchemaTable {
  const known = new Map(entities.map(entity => [entity.name, entity]));
  const enums = new Map<string, string>();

  function find(name: string): Entity {
    const entity = known.get(name);
    invariant(entity, `the schema refers to ${name}, which it lacks`);
    return entity;
  }

  function typeOf(name: string, path: string): string {
    const entity = find(name);
    if (entity['meta-type'] === 'builtin') return BUILTIN[entity['json-type'] ?? ''] ?? 'any';
    if (entity['meta-type'] === 'array') return `[${typeOf(entity['element-type'] ?? '', path)}]`;
    if (UNCHECKED.has(path) && entity['meta-type'] !== 'array') return 'any';
    const called = NAMES[path] ?? NAMES[path.slice(path.indexOf('.') + 1)];
    invariant(called, `NAMES has no name for the type of ${path}`);
    if (entity.values !== undefined) learnEnum(called, entity.values);
    if (called === 'TransactionProperties') specOf(name, called);
    return called;
  }

  function learnEnum(name: string, values: readonly string[]): void {
    const kept = VALUES[name];
    enums.set(name, (kept?.filter(value => values.includes(value)) ?? values).join(' '));
  }

  function specOf(type: string, owner: string): string {
    const list = find(type).members ?? [];
    return list
      .map(({ name = '', type: member, ...rest }) => {
        return `${name}${'default' in rest ? '?' : ''}:${typeOf(member, `${owner}.${name}`)}`;
      })
      .join(' ');
  }

  const commands = COMMANDS.filter(name => known.get(name)?.['meta-type'] === 'command').map(name => {
    return [name, FIXED[name] ?? specOf(find(name)['arg-type'] ?? '', name)] as const;
  });
  enums.set('ObjectType', VALUES['ObjectType']?.join(' ') ?? '');
  const transaction = find(find('transaction')['arg-type'] ?? '').members?.find(
    ({ name }) => name === 'actions',
  );
  const union = find(find(transaction?.type ?? '')['element-type'] ?? '');
  const actions = ACTIONS.map(name => {
    const variant = union.variants?.find(one => one.case === name);
    const data = find(variant?.type ?? '').members?.find(member => member.name === 'data');
    return [name, data === undefined ? '' : specOf(data.type, name)] as const;
  });
  return {
    commands: Object.fromEntries(commands),
    actions: Object.fromEntries(actions),
    enums: Object.fromEntries(
      ENUMS.flatMap(name => (enums.has(name) ? [[name, enums.get(name) ?? '']] : [])),
    ),
  };
}

function header(versions: readonly string[]): string {
  return `/**
 * Which commands, arguments, actions and values the simulated versions of QEMU have. Generated from query-qmp-schema by
 * scripts/generate-sim-schema.ts, which holds the list of what is kept; do not edit. \`name:type\`, with \`?\` after
 * optional names. Versions: ${versions.join(', ')}.
 */

export interface SchemaTable {
  readonly commands: Readonly<Record<string, string>>;
  readonly actions: Readonly<Record<string, string>>;
  readonly enums: Readonly<Record<string, string>>;
}

export const SCHEMAS: Readonly<Record<string, SchemaTable>> = {
`;
}

function textOf(version: string, table: SchemaTable): string {
  const part = (name: string, specs: Readonly<Record<string, string>>): string =>
    `    '${name}': {\n${Object.entries(specs)
      .map(([key, spec]) => `      '${key}': '${spec}',\n`)
      .join('')}    },\n`;
  const { commands, actions, enums } = table;
  return `  '${version}': {\n${part('commands', commands)}${part('actions', actions)}${part('enums', enums)}  },\n`;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '');
}

const STARTS_WITHIN_MS = 20_000;

/** A QEMU without machine or disks, for one question. */
async function askQemu(binary: string): Promise<{ readonly version: string; readonly table: SchemaTable }> {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-schema-'));
  const socket = join(folder, 'qmp.sock');
  const args = [
    '-machine',
    'none',
    '-nodefaults',
    '-display',
    'none',
    '-qmp',
    `unix:${socket},server=on,wait=off`,
  ];
  const qemu = spawn(binary, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(qemu, 'exit');
  try {
    const client = await connectWithin(socket, systemClock.now() + STARTS_WITHIN_MS);
    const { major, minor } = client.version;
    const entities = (await client.execute('query-qmp-schema')) as unknown as readonly Entity[];
    await client.execute('quit');
    await ended;
    return { version: `${major}.${minor}`, table: tableOf(entities) };
  } finally {
    if (qemu.exitCode === null) qemu.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function connectWithin(socket: string, deadlineMs: number): Promise<QmpClient> {
  for (;;) {
    try {
      return await openQmpClient(connectSocket(socket));
    } catch (error) {
      if (!(error instanceof BlocksagaError) || systemClock.now() > deadlineMs) throw error;
      await sleep(systemClock, 50);
    }
  }
}

const { values, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
const given =
  positionals.length > 0 ? positionals : ['qemu-system-x86_64', ...fetchedQemus().map(one => one.binary)];
const tables = new Map(Object.entries(SCHEMAS));
for (const binary of given) {
  const { version, table } = await askQemu(binary);
  tables.set(version, table);
  console.log(`${version}: ${Object.keys(table.commands).length} commands, from ${binary}`);
}
const sorted = [...tables].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
const text = `${header(sorted.map(([version]) => version))}${sorted.map(([version, table]) => textOf(version, table)).join('')}};\n`;
writeFileSync(
  values.out ?? fileURLToPath(new URL('../src/sim/state/schema.generated.ts', import.meta.url)),
  text,
);
