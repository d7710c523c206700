/** What doctor finds of a host, and of a guest's QEMU where its monitor is given. It looks, and removes nothing. */
import { examine } from '../engine/doctor/doctor.ts';
import { type Finding, silentQemu } from '../engine/doctor/finding.ts';
import { BlocksagaError } from '../errors.ts';
import { openGuestClient } from '../guest/storage-daemon.ts';
import type { Journal } from '../journal/journal.ts';
import { connectSocket } from '../qmp/socket.ts';

export async function findingsOf(journal: Journal, monitor?: string): Promise<readonly Finding[]> {
  const found = monitor === undefined ? await examine({ journal }) : await withQemu(journal, monitor);
  return found.map(({ kind, name, saga, why, removable }) => ({ kind, name, saga, why, removable }));
}

async function withQemu(journal: Journal, monitor: string): Promise<readonly Finding[]> {
  try {
    const qmp = await openGuestClient(connectSocket(monitor));
    try {
      return await examine({ journal, qmp });
    } finally {
      qmp.close();
    }
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'QMP_CONNECT') throw error;
    return [silentQemu(monitor, error), ...(await examine({ journal }))];
  }
}
