/**
 * QMP over a UNIX socket or loopback TCP: the production adapter of `Transport`. It refuses to speak to another host,
 * because a monitor has no authentication, and it retries nothing.
 */

import { createConnection, type Socket } from 'node:net';
import { BlocksagaError } from '../errors.ts';
import { type Clock, systemClock } from './clock.ts';
import { MESSAGE_BYTES_MAX } from './codec.ts';
import { expectLimit } from './limits.ts';
import { startPatience } from './patience.ts';
import { StreamTransport } from './stream-transport.ts';
import type { Connect } from './transport.ts';

/** What {@link connectSocket} may be told. */
export interface SocketOptions {
  /** How long the connection may take to come about, in milliseconds (default 10,000). */
  readonly connectDeadlineMs?: number;
  /** The longest message that is accepted, in bytes (default 64 MiB, QEMU's own limit). */
  readonly maxMessageBytes?: number;
  readonly clock?: Clock;
}

const CONNECT_DEADLINE_MS = 10_000;

/** `sun_path` has 108 bytes on Linux, one of which ends it (unix(7)). */
const UNIX_PATH_BYTES_MAX = 107;

/**
 * How to reach a monitor: `/run/vm.qmp`, `unix:/run/vm.qmp`, `tcp:127.0.0.1:4444`, `[::1]:4444`, `localhost:4444`.
 * Throws REQUEST_INVALID for an address of another host or of no known form, and for limits that are none; connecting rejects with QMP_CONNECT.
 *
 * @example
 * ```ts
 * const client = await openQmpClient(connectSocket('unix:/run/vm.qmp'));
 * ```
 */
export function connectSocket(address: string, options: SocketOptions = {}): Connect {
  const place = parseAddress(address);
  expectLimit('connectDeadlineMs', options.connectDeadlineMs);
  expectLimit('maxMessageBytes', options.maxMessageBytes);
  const clock = options.clock ?? systemClock;
  const deadlineMs = options.connectDeadlineMs ?? CONNECT_DEADLINE_MS;
  return async handlers => {
    const socket = await openSocket(place, address, clock, deadlineMs);
    return new StreamTransport(socket, handlers, clock, options.maxMessageBytes ?? MESSAGE_BYTES_MAX);
  };
}

type Place = { readonly path: string } | { readonly host: string; readonly port: number };

/** Takes an address apart. Throws REQUEST_INVALID. */
export function parseAddress(address: string): Place {
  const unix = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  if (unix !== undefined || (address.includes('/') && !address.startsWith('tcp:'))) {
    const path = unix ?? address;
    const pathBytes = Buffer.byteLength(path);
    if (pathBytes === 0 || pathBytes > UNIX_PATH_BYTES_MAX)
      throw new BlocksagaError(
        'REQUEST_INVALID',
        `a UNIX socket's path has 1 to ${UNIX_PATH_BYTES_MAX} bytes, this one ${pathBytes}: ${address}`,
      );
    return { path };
  }
  const match = /^(?:tcp:)?(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/.exec(address);
  const host = match?.groups?.['v6'] ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  if (host === undefined || port < 1 || port > 65_535)
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `"${address}" is no monitor's address: write /path, unix:/path, or tcp:127.0.0.1:PORT`,
    );
  if (host !== 'localhost' && host !== '::1' && !/^127(\.\d{1,3}){3}$/.test(host))
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `${address} is another host: every client of a monitor controls its QEMU, so forward a UNIX socket (ssh -L) instead`,
    );
  return { host, port };
}

/** A connected socket with no listeners left on it. Rejects with QMP_CONNECT. */
export function openSocket(place: Place, address: string, clock: Clock, deadlineMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(place);
    const { cancel } = startPatience({ clock, deadlineMs }, () => {
      socket.destroy();
      reject(new BlocksagaError('QMP_CONNECT', `no connection to ${address} within ${deadlineMs} ms`));
    });
    socket.once('error', error => {
      cancel();
      const { code = '' } = error as NodeJS.ErrnoException;
      const advice = ADVICE[code] ?? 'is this the address of a running QEMU?';
      reject(
        new BlocksagaError(
          'QMP_CONNECT',
          `cannot connect to ${address} (${code || error.message}): ${advice}`,
          {
            cause: error,
          },
        ),
      );
    });
    socket.once('connect', () => {
      cancel();
      socket.removeAllListeners('error');
      if ('port' in place) socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** By the system's error code: what to do next. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'no such socket; is QEMU running, with -qmp unix:PATH,server=on,wait=off and the same path?',
  ECONNREFUSED: 'no process listens there; QEMU has ended, or was started with another -qmp',
  EACCES: 'not permitted; run as the user that runs QEMU, or give this user access to the socket',
  EPERM: 'not permitted; run as the user that runs QEMU, or give this user access to the socket',
  ENOTSOCK: 'that is a file, not a socket',
  EAGAIN: 'its queue is full; other clients wait for this monitor, give blocksaga one of its own',
  EPROTOTYPE: 'that is another kind of socket, not a stream',
};
