/**
 * UNIX socket servers for tests, in a folder of their own, all gone after each test.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder for sockets that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Listens on a UNIX socket and hands every client over; resolves with the socket's path. */
export async function listen(onClient: (socket: Socket) => void): Promise<string> {
  const path = join(temporaryFolder(), 'test.sock');
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()); // A client that goes away mid-write is part of some tests.
    onClient(socket);
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return path;
}
