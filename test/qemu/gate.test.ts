/** A client of the gate that is killed with answers unread: its socket ends in an error, which is no error of the test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { Gate } from './gate.ts';

/** More than a socket and its reader hold. */
const ANSWER_BYTES = 1024 * 1024;
/** Asks, and reads nothing. */
const CLIENT = `const socket = require('node:net').createConnection(process.argv[1]);
socket.pause().write('{"execute":"query-status"}\\n');`;

test('hands on what is said, and outlives a client that is killed with answers unread', async () => {
  const folder = temporaryFolder();
  const told = Promise.withResolvers<void>();
  const sockets: Socket[] = [];
  const monitor = createServer(socket => {
    sockets.push(socket);
    socket.on('data', data => socket.write(`${'x'.repeat(ANSWER_BYTES)}\r\n${data}`));
  }).listen(join(folder, 'qemu'));
  await using gate = await new Gate(join(folder, 'gate'), join(folder, 'qemu')).listen();
  gate.tell = line => {
    if (line === '{"execute":"query-status"}') told.resolve();
    return line;
  };
  const client = spawn(process.execPath, ['--eval', CLIENT, gate.socket], { stdio: 'ignore' });
  await told.promise;
  const ended = once(sockets[0] ?? monitor, 'close');
  client.kill('SIGKILL');
  await ended;
  expect(gate.passed).toEqual([{ execute: 'query-status' }]);
  await new Promise(resolve => monitor.close(resolve));
});
