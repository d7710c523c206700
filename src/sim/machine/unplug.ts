/**
 * Devices that leave the guest (qmp_device_del() in system/qdev-monitor.c; seen on 5.2, 7.2, 10.0 and 11.1): SCSI and USB ones
 * at once, PCI ones when the guest gives them away, which this guest does a moment later if it runs. The node of a `-blockdev`
 * stays, that of a `-drive` goes with its device unless a job or a third party has it open.
 */
import type { Json } from '../../qmp/transport.ts';
import { removeUser } from '../graph/graph.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context, UnplugTask } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';

/** How long the guest takes to give a PCI device away. */
const GIVEN_AWAY_MS = 0.5;
const ASKS_GUEST: ReadonlySet<string> = new Set(['virtio-blk-pci', 'nvme']);

export function deviceDel(ctx: Context, args: Arguments): Json {
  const id = String(args['id']);
  if (id === '') refuseEmpty(ctx);
  const device = ctx.q.devices.get(id) ?? refuse(`Device '${id}' not found`, 'DeviceNotFound');
  if (device.type === 'ide-hd') refuse("Bus 'ide.0' does not support hotplugging");
  if (ASKS_GUEST.has(device.type)) ctx.later(GIVEN_AWAY_MS, { unplugged: id });
  else leave(ctx, id);
  return {};
}

/** The whole of `/machine/peripheral` is named. */
function refuseEmpty({ profile }: Context): never {
  if (profile.version.major < 6) return refuse("Device '' not found", 'DeviceNotFound');
  return refuse(profile.version.major < 10 ? ' is not a hotpluggable device' : ' is not a device');
}

/** Only a medium that can be taken out is: none of the guest's disks has one. */
export function eject(ctx: Context, args: Arguments): Json {
  if ((args['id'] === undefined) === (args['device'] === undefined))
    refuse("Need exactly one of 'device' and 'id'");
  if (args['id'] === '') refuseEmpty(ctx);
  const id = String(args['id'] ?? args['device']);
  const device = ctx.q.devices.get(id) ?? refuse(`Device '${id}' not found`, 'DeviceNotFound');
  return refuse(`Device '${device.id}' is not removable`);
}

/** The guest's answer; one that is paused gives none. */
export function runUnplug(ctx: Context, { unplugged }: UnplugTask): void {
  if (ctx.q.runState === 'running' && ctx.q.devices.has(unplugged)) leave(ctx, unplugged);
}

function leave(ctx: Context, id: string): void {
  const device = ctx.q.devices.get(id);
  if (device === undefined) return;
  const node = ctx.q.backends.get(device.path)?.node;
  ctx.q.edit('devices').delete(id);
  ctx.q.edit('backends').delete(device.path);
  if (node !== undefined) removeUser(ctx, node, 'backend', device.path);
  const front = `/machine/peripheral/${id}`;
  if (device.path !== front) ctx.emit('DEVICE_DELETED', { path: device.path });
  ctx.emit('DEVICE_DELETED', { device: id, path: front });
}
