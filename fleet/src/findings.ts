/** What doctor finds of a host, and of a guest's QEMU where its monitor is given. It looks, and removes nothing. */
import { examine } from '../../src/engine/doctor/doctor.ts';
import { type Finding, silentQemu } from '../../src/engine/doctor/finding.ts';
import { BlocksagaError, type Journal } from '../../src/index.ts';
import { connectSocket, openQmpClient } from '../../src/qmp/index.ts';

export async function findingsOf(journal: Journal, monitor?: string): Promise<readonly Finding[]> {
  const found = monitor === undefined ? await examine({ journal }) : await withQemu(journal, monitor);
  return found.map(({ kind, name, saga, why, removable }) => ({ kind, name, saga, why, removable }));
}

async function withQemu(journal: Journal, monitor: string): Promise<readonly Finding[]> {
  try {
    const qmp = await openQmpClient(connectSocket(monitor));
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
