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
import {
  ACTIONS,
  BUILTIN,
  COMMANDS,
  ENUMS,
  FIXED,
  NAMES,
  OF_DRIVERS,
  SIZES,
  UNCHECKED,
  VALUES,
} from './sim-schema-names.ts';

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
  const structures = new Map<string, string>();

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

  /** The members that a driver has beside those of all; enums and structures are named by where they are. */
  function specOfDriver(type: string, path: string): string {
    return (find(type).members ?? [])
      .map(({ name = '', type: member, ...rest }) => {
        const optional = 'default' in rest ? '?' : '';
        return `${name}${optional}:${OF_DRIVERS[name] ?? typeOfDriver(member, `${path}.${name}`)}`;
      })
      .join(' ');
  }

  function typeOfDriver(name: string, path: string): string {
    const entity = find(name);
    const kind = entity['meta-type'];
    if (kind === 'builtin') return SIZES.test(path) ? 'size' : (BUILTIN[entity['json-type'] ?? ''] ?? 'any');
    if (kind === 'array') return `[${typeOfDriver(entity['element-type'] ?? '', path)}]`;
    if (entity.values !== undefined) enums.set(path, entity.values.join(' '));
    else if (kind === 'object') structures.set(path, specOfDriver(name, path));
    return kind === 'alternate' ? 'any' : path;
  }

  /** Of each driver that is kept, by the type of its options. */
  function driversOf(type: string, path: string, common: readonly string[]): Record<string, string> {
    const kept = (find(type).variants ?? []).filter(one => VALUES['BlockdevDriver']?.includes(one.case));
    return Object.fromEntries(
      kept.map(one => {
        const spec = specOfDriver(one.type, `${path}.${one.case}`);
        return [
          one.case,
          spec
            .split(' ')
            .filter(word => !common.some(name => word.startsWith(`${name}:`)))
            .join(' '),
        ];
      }),
    );
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
  const drivers = driversOf(find('blockdev-add')['arg-type'] ?? '', 'driver', []);
  const ofCreate = find(find('blockdev-create')['arg-type'] ?? '').members?.find(
    ({ name }) => name === 'options',
  );
  const formats = driversOf(ofCreate?.type ?? '', 'create', []);
  return {
    commands: Object.fromEntries(commands),
    actions: Object.fromEntries(actions),
    enums: Object.fromEntries(
      [...enums].filter(([name]) => ENUMS.includes(name) || name.includes('.')).toSorted(byPlace),
    ),
    drivers,
    formats,
    structures: Object.fromEntries(structures),
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
  /** Members of blockdev-add that a driver has for itself, and of blockdev-create. */
  readonly drivers: Readonly<Record<string, string>>;
  readonly formats: Readonly<Record<string, string>>;
  /** What is in members of those, by their place. */
  readonly structures: Readonly<Record<string, string>>;
}

export const SCHEMAS: Readonly<Record<string, SchemaTable>> = {
`;
}

function textOf(version: string, table: SchemaTable): string {
  const part = (name: string, specs: Readonly<Record<string, string>>): string =>
    `    '${name}': {\n${Object.entries(specs)
      .map(([key, spec]) => `      '${key}': '${spec}',\n`)
      .join('')}    },\n`;
  const { commands, actions, ...rest } = table;
  const parts = Object.entries(rest).map(([name, specs]) => part(name, specs));
  return `  '${version}': {\n${part('commands', commands)}${part('actions', actions)}${parts.join('')}  },\n`;
}

/** In the order of ENUMS, the others after them. */
function byPlace([a]: readonly [string, string], [b]: readonly [string, string]): number {
  const at = (name: string): number => (ENUMS.includes(name) ? ENUMS.indexOf(name) : ENUMS.length);
  return at(a) - at(b);
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
