/**
 * The machine around the disks: devices in the object tree (`drive` can be set), throttle groups, secrets.
 */

import type { Json } from '../../qmp/transport.ts';
import { addUser, reaches, removeUser } from '../graph/graph.ts';
import { checkPermissions } from '../graph/permissions.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, nodeOf } from '../state/context.ts';
import type { Device } from '../state/devices.ts';
import { Death, refuse } from '../state/refusal.ts';
import { secretIn } from '../state/secrets.ts';
import {
  ALL_PERMISSIONS,
  CONSISTENT_READ,
  GRAPH_MOD,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from '../state/state.ts';

/** What a guest's device needs of its disk. */
export const DEVICE_NEEDS = {
  perm: CONSISTENT_READ | WRITE,
  shared: CONSISTENT_READ | WRITE_UNCHANGED | RESIZE | GRAPH_MOD,
};

export function qomList(ctx: Context, args: Arguments): Json {
  const path = String(args['path']);
  if (ctx.profile.servesExports) return qomListOfDaemon(ctx, path);
  if (path === '') refuse("Path '' is ambiguous");
  if (path === '/machine/peripheral') {
    const children = [...ctx.q.devices.values()].map(device => ({
      name: device.id,
      type: `child<${device.type}>`,
    }));
    return [{ name: 'type', type: 'string' }, ...children];
  }
  if (path === '/objects') {
    const threads = [...ctx.q.devices.values()].flatMap((device, index) =>
      device.iothread ? [{ name: `iothread${index}`, type: 'child<iothread>' }] : [],
    );
    return [
      { name: 'type', type: 'string' },
      ...threads,
      ...objectsIn(ctx),
      { name: 'pc.ram', type: 'child<memory-backend-ram>' },
      // Since 11.1 a monitor is an object.
      ...(ctx.profile.version.major >= 11 ? [{ name: 'compat_monitor0', type: 'child<monitor-qmp>' }] : []),
    ];
  }
  if (limitOf(ctx, path) !== undefined) {
    return [
      { name: 'type', type: 'string' },
      { name: 'limits', type: 'ThrottleLimits' },
    ];
  }
  const found = deviceAt(ctx, path);
  const properties: Json[] = [
    { name: 'type', type: 'string' },
    { name: 'realized', type: 'bool' },
    { name: 'serial', type: 'str' },
    { name: 'drive', type: 'str' },
  ];
  if (found.isFront && found.device.path !== frontPath(found.device)) {
    properties.push({ name: 'virtio-backend', type: `child<${found.device.backendType}>` });
  }
  return properties;
}

/** Before 10.0 there is no place for objects until the first is made. */
function qomListOfDaemon(ctx: Context, path: string): Json {
  const objects = objectsIn(ctx);
  if (path !== '/objects' || (objects.length === 0 && ctx.profile.version.major < 10))
    refuse(`Device '${path}' not found`, 'DeviceNotFound');
  return [{ name: 'type', type: 'string' }, ...objects];
}

function objectsIn({ q }: Context): readonly Json[] {
  return [
    ...[...q.throttleGroups.keys()].map(name => ({ name, type: 'child<throttle-group>' })),
    ...[...q.secrets.keys()].map(name => ({ name, type: 'child<secret>' })),
  ];
}

export function qomGet(ctx: Context, args: Arguments): Json {
  const path = String(args['path']);
  const property = String(args['property']);
  if (path === '/objects' && property === 'type') return 'container';
  const limit = limitOf(ctx, path);
  if (limit !== undefined && property === 'limits') return limitsOf(limit);
  const { device, isFront } = deviceAt(ctx, path);
  const type = isFront ? device.type : device.backendType;
  if (property === 'type') return type;
  if (property === 'realized') return true;
  if (property === 'serial') return '';
  if (property !== 'drive') refuse(`Property '${type}.${property}' not found`);
  const backend = ctx.q.backends.get(device.path);
  return backend?.name || (backend?.node ?? '');
}

export function qomSet(ctx: Context, args: Arguments): Json {
  const path = String(args['path']);
  const property = String(args['property']);
  if (limitOf(ctx, path) !== undefined && property === 'limits') return setLimit(ctx, path, args['value']);
  const { device, isFront } = deviceAt(ctx, path);
  const type = isFront ? device.type : device.backendType;
  if (property !== 'drive') {
    if (property === 'serial' || property === 'realized') refuseRealized(property, type);
    refuse(`Property '${type}.${property}' not found`);
  }
  if (!ctx.profile.setsDrive) refuseRealized('drive', device.backendType);
  if (!device.settableDrive) refuseRealized('drive', type);
  const name = args['value'];
  if (typeof name !== 'string') refuse("Invalid parameter type for 'drive', expected: string");
  const node = ctx.q.nodes.get(name) ?? refuse(ctx.profile.texts.cannotFind('', name));
  const backend = ctx.q.backends.get(device.path);
  if (backend === undefined) refuse(`Device '${device.id}' has no medium`);
  if (backend.node === name) {
    if (ctx.profile.diesOnSameDrive)
      throw new Death('SIGABRT', `drive of ${device.id} set to what it already is`);
    return {};
  }
  const root = backend.node;
  const isConnected = root !== undefined && (reaches(ctx, root, name) || reaches(ctx, name, root));
  if (device.iothread && ctx.q.runState === 'running' && !isConnected) {
    refuse('Different aio context is not supported for new node');
  }
  ctx.q.edit('backends').set(device.path, backend.with(name));
  const edge = { kind: 'backend', parent: device.path, role: 'root', ...DEVICE_NEEDS } as const;
  addUser(ctx, node.name, edge);
  if (root !== undefined) removeUser(ctx, root, 'backend', device.path);
  checkPermissions(ctx, [name]);
  return {};
}

const OBJECTS = '/objects/';
const LIMIT_MAX = 1e15;

/** Of the throttle group at a path; undefined where there is none. */
function limitOf(ctx: Context, path: string): number | undefined {
  return path.startsWith(OBJECTS) ? ctx.q.throttleGroups.get(path.slice(OBJECTS.length)) : undefined;
}

function setLimit(ctx: Context, path: string, value: Json | undefined): Json {
  ctx.q.edit('throttleGroups').set(path.slice(OBJECTS.length), limitIn(value ?? null));
  return {};
}

/** Of the limits of a group its bytes per second; none where nothing is said. */
function limitIn(value: Json | undefined): number {
  if (value === undefined) return 0;
  const asked = value as { readonly 'bps-total'?: Json } | null;
  const limit = asked?.['bps-total'];
  if (typeof limit !== 'number') refuse("Invalid parameter type for 'limits', expected: object");
  if (limit < 0 || limit > LIMIT_MAX) refuse(`bps/iops/max values must be within [0, ${LIMIT_MAX}]`);
  return limit;
}

/** As QEMU tells them: each kind of request alone and together, with its burst. */
function limitsOf(limit: number): Json {
  const kinds = ['bps', 'iops'].flatMap(unit => ['total', 'read', 'write'].map(of => `${unit}-${of}`));
  const each = kinds.flatMap(kind => [
    [kind, kind === 'bps-total' ? limit : 0],
    [`${kind}-max`, 0],
    [`${kind}-max-length`, 1],
  ]);
  return { ...Object.fromEntries(each), 'iops-size': 0 };
}

function refuseRealized(property: string, type: string): never {
  return refuse(
    `Attempt to set property '${property}' on anonymous device (type '${type}') after it was realized`,
  );
}

function frontPath(device: Device): string {
  return `/machine/peripheral/${device.id}`;
}

/** A path, full or below /machine/peripheral; virtio devices have their block part in a child. */
function deviceAt(ctx: Context, path: string): { device: Device; isFront: boolean } {
  if (ctx.profile.servesExports) refuse(`Device '${path}' not found`, 'DeviceNotFound');
  const full = path.startsWith('/') ? path : `/machine/peripheral/${path}`;
  for (const device of ctx.q.devices.values()) {
    if (full === frontPath(device)) return { device, isFront: true };
    if (full === device.path) return { device, isFront: false };
  }
  return refuse(`Device '${path}' not found`, 'DeviceNotFound');
}

export function objectAdd(ctx: Context, args: Arguments): Json {
  const id = String(args['id']);
  const secret = args['qom-type'] === 'secret' ? secretIn(ctx, args) : undefined;
  if (ctx.q.throttleGroups.has(id) || ctx.q.secrets.has(id)) {
    refuse(`attempt to add duplicate property '${id}' to object (type 'container')`);
  }
  if (secret === undefined) ctx.q.edit('throttleGroups').set(id, limitIn(args['limits']));
  else ctx.q.edit('secrets').set(id, secret);
  return {};
}

export function objectDel(ctx: Context, args: Arguments): Json {
  const id = String(args['id']);
  // An image that is open has its key.
  if (ctx.q.edit('secrets').delete(id)) return {};
  if (!ctx.q.throttleGroups.has(id)) refuse(`object '${id}' not found`);
  if ([...ctx.q.nodes.values()].some(node => node.throttleGroup === id)) {
    refuse(
      ctx.profile.version.major >= 11
        ? `Cannot delete throttle group '${id}' with active references`
        : `object '${id}' is in use, can not be deleted`,
    );
  }
  ctx.q.edit('throttleGroups').delete(id);
  return {};
}

/** Whether a temporary user that writes would be in conflict with those that are there. */
export function refuseWriter(ctx: Context, name: string): void {
  const before = nodeOf(ctx.q, name);
  addUser(ctx, name, { kind: 'blk', parent: 'qemu-io', role: 'root', perm: WRITE, shared: ALL_PERMISSIONS });
  try {
    checkPermissions(ctx, [name]);
  } finally {
    ctx.q.edit('nodes').set(name, before);
  }
}
