/** One short visit to a monitor, for commands that only ask. */

import { openGuestClient } from '../../guest/storage-daemon.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { connectSocket } from '../../qmp/socket.ts';
import { socketAddress } from '../options/option-values.ts';
import type { CliContext } from '../print/context.ts';

/** Connects, asks, and closes again, whatever comes of it. */
export async function withClient<T>(
  address: string,
  { clock, ...context }: CliContext,
  ask: (client: QmpClient) => Promise<T>,
): Promise<T> {
  const connect = connectSocket(socketAddress(address, { clock, ...context }), { clock });
  const client = await openGuestClient(connect, { clock });
  try {
    return await ask(client);
  } finally {
    client.close();
  }
}
