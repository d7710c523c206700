/**
 * Kinds of disks that have no block jobs and no snapshots: what QEMU tells of the devices they are in. It only asks and
 * refuses.
 */

import type { Files } from '../images/files.ts';
import type { GuestDisk } from '../operations/survey.ts';
import type { QmpClient } from '../qmp/client.ts';
import { refuse } from './errors.ts';
import type { Sight } from './sight.ts';

/** Types in QEMU's object model (`-device help`) of disks that are a device of the host's, handed through to the guest. */
const LUNS: ReadonlySet<string | undefined> = new Set(['scsi-block', 'scsi-generic']);
/** A vhost-user disk is another process's: QEMU has no node of it, and `query-block` does not know it. */
const VHOST_USER = /^vhost-user-/;

/** By QOM path; a path that QEMU does not tell the type of is left out. */
export async function typesOf(
  qmp: QmpClient,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (paths.length === 0) return new Map();
  const replies = await qmp.pipeline(
    paths.map(path => ({ execute: 'qom-get' as const, arguments: { path, property: 'type' } })),
  );
  return new Map(
    paths.flatMap((path, at) => {
      const reply = replies[at];
      if (reply === undefined) return [];
      // A QEMU that does not know the device any more has nothing to say of it; a connection that is gone is reported.
      if (!reply.ok && reply.error.code !== 'QMP_COMMAND') throw reply.error;
      return reply.ok ? [[path, String(reply.value)] as const] : [];
    }),
  );
}

/** Throws CONFIG_UNSUPPORTED for a lun, OPERATION_UNSUPPORTED for a disk on the sd bus and for a transient one. */
export async function refuseKind(
  { types }: Pick<Sight, 'types'>,
  name: string,
  { qdev, file }: GuestDisk,
  files: Files | null,
): Promise<void> {
  const type = qdev === null ? undefined : types.get(qdev);
  if (LUNS.has(type)) refuse('CONFIG_UNSUPPORTED', `disk ${name} is a lun that is passed through (${type})`);
  if (type === 'sd-card') refuse('OPERATION_UNSUPPORTED', `disk ${name} is on the sd bus`);
  // QEMU removes the overlay of a disk with snapshot=on as soon as it has opened it.
  if (files === null || !file.startsWith('/') || (await files.stat(file)) !== undefined) return;
  refuse(
    'OPERATION_UNSUPPORTED',
    `disk ${name} is transient: what it holds ends with QEMU (${file} is gone)`,
  );
}

interface Asked {
  ask<T>(question: (qmp: QmpClient) => Promise<T>): Promise<T>;
}

/** Throws OPERATION_UNSUPPORTED for a device that is no disk to QEMU's block layer. */
export async function refuseUnseen(core: Asked, { guest }: Sight, name: string): Promise<void> {
  if (!/^[\w.-]+$/.test(name) || guest.disks.some(({ device }) => device === name)) return;
  const path = `/machine/peripheral/${name}`;
  const types = await core.ask(qmp => typesOf(qmp, [path]));
  if (VHOST_USER.test(types.get(path) ?? '')) {
    refuse('OPERATION_UNSUPPORTED', `disk ${name} is a vhost-user disk: QEMU does not have its image`);
  }
}
