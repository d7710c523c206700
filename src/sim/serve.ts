/**
 * Serves a simulator as a QMP server on a UNIX socket, in real time, so that anything that speaks QMP can use it. Adds
 * nothing of its own to what the simulator says.
 */

import { unlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { BlocksagaError } from '../errors.ts';
import { systemClock } from '../qmp/clock.ts';
import { encodeMessages } from '../qmp/codec.ts';
import { createSim, type Sim, type SimOptions } from './create-sim.ts';
import { realTimeClock } from './host/real-time-clock.ts';
import { JsonStream } from './monitor/json-stream.ts';
import type { MonitorTransport } from './monitor/monitor.ts';
import type { SimConnect } from './sim-options.ts';
import { DEFAULT_PROFILE, profileOf } from './state/profiles.ts';
import type { JsonTexts } from './state/texts.ts';

export interface ServeOptions extends Omit<SimOptions, 'clock'> {
  /** The path of the UNIX socket; shorter than 108 bytes. */
  readonly listen: string;
  /** The path of a second monitor, for a client of its own. */
  readonly second?: string;
}

export interface Server {
  readonly sim: Sim;
  /** Settles when the simulated QEMU has ended: `quit`, a kill, or one of the ways in which the real one dies. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

const PATH_BYTES_MAX = 107;
const LIFE_CHECK_MS = 20;

/**
 * Starts a simulator in real time. Throws REQUEST_INVALID when the path is too long for a socket, and what the operating
 * system says when it cannot be bound.
 *
 * @example
 * ```ts
 * const server = await serveSim({ listen: '/tmp/sim.sock', disks: 2 });
 * await server.close();
 * ```
 */
export async function serveSim({ listen, second, ...options }: ServeOptions): Promise<Server> {
  const paths = second === undefined ? [listen] : [listen, second];
  for (const path of paths) {
    if (Buffer.byteLength(path) <= PATH_BYTES_MAX) continue;
    const why = `the socket path ${path} is longer than ${PATH_BYTES_MAX} bytes`;
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
  const sim = createSim({ ...options, clock: realTimeClock });
  const { json } = profileOf(options.profile ?? DEFAULT_PROFILE);
  const sockets = new Set<Socket>();
  const servers = paths.map(path =>
    createServer(socket => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      attach(sim.monitor(path === listen ? 'monitor' : path), socket, json);
    }),
  );
  for (const [at, server] of servers.entries())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(paths[at], resolve);
    });
  let stopWatching = (): void => {};
  const ended = new Promise<void>(resolve => {
    const look = (): void => {
      if (sim.world.alive) stopWatching = systemClock.after(LIFE_CHECK_MS, look);
      else resolve();
    };
    look();
  });
  return {
    sim,
    ended,
    async close() {
      stopWatching();
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map(server => new Promise<void>(resolve => server.close(() => resolve()))));
      for (const path of paths) removeSocket(path);
    },
  };
}

/** Node removes the socket file itself on close; what is left after a crash goes here. */
function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function attach(connect: SimConnect, socket: Socket, texts: JsonTexts): void {
  const stream = new JsonStream(texts);
  let transport: MonitorTransport | undefined;
  const early: Buffer[] = [];
  const take = (bytes: Buffer): void => {
    if (transport === undefined) {
      early.push(bytes);
      return;
    }
    for (const piece of stream.push(bytes)) {
      if (piece.ok) transport.send([piece.value]);
      else transport.sendUnreadable(piece.text);
    }
  };
  socket.on('data', chunk => take(chunk as Buffer));
  socket.once('close', () => transport?.close());
  socket.on('error', () => socket.destroy());
  connect({
    onMessage: message => socket.write(encodeMessages([message])),
    onClose: () => socket.end(),
  }).then(
    opened => {
      transport = opened;
      if (socket.destroyed) opened.close();
      for (const bytes of early.splice(0)) take(bytes);
    },
    () => socket.destroy(),
  );
}
