/**
 * Asks the storage behind an image for a flush, past QEMU, and whether that is answered in time: where QEMU asks itself and
 * gets no answer, it hangs with its guest. A file is flushed by sync(1), whose process may stay behind where the file system
 * does not answer; an NBD export by a connection of its own. An error is an answer; it decides nothing.
 */
import { spawn } from 'node:child_process';
import { createConnection, type Socket } from 'node:net';
import { type Clock, systemClock } from '../qmp/clock.ts';
import type { Answer } from './files.ts';
import { type NbdExport, readNbdAddress } from './nbd-address.ts';

/** How a flush of what is behind this absolute path or NBD address is answered within that time, in milliseconds. */
export async function answersInTime(
  path: string,
  withinMs: number,
  clock: Clock = systemClock,
): Promise<Answer> {
  const target = readNbdAddress(path);
  const { promise: late, resolve } = Promise.withResolvers<Answer>();
  const cancel = clock.after(withinMs, () => resolve('late'));
  const asked = target === undefined ? flushFile(path) : flushExport(target);
  try {
    return await Promise.race([asked.answered, late]);
  } finally {
    cancel();
    asked.end();
  }
}

interface Asked {
  readonly answered: Promise<Answer>;
  end(): void;
}

function flushFile(path: string): Asked {
  const child = spawn('sync', ['-d', path], { stdio: 'ignore' });
  child.unref();
  const answered = new Promise<Answer>(resolve => {
    child.once('error', () => resolve('inTime')); // without such a program it cannot be told
    child.once('exit', () => resolve('inTime'));
  });
  return { answered, end: () => void child.kill('SIGKILL') };
}

function flushExport({ server, export: name = '' }: NbdExport): Asked {
  const socket =
    server.type === 'unix'
      ? createConnection(server.path)
      : server.type === 'inet'
        ? createConnection(Number(server.port), server.host)
        : undefined;
  if (socket === undefined) return { answered: Promise.resolve<Answer>('inTime'), end: () => undefined };
  socket.on('error', () => undefined);
  const answered = converse(socket, name).then(
    (): Answer => 'inTime',
    (): Answer => 'gone',
  );
  return { answered, end: () => socket.destroy() };
}

/** doc/proto.md of NetworkBlockDevice/nbd: the figures that are needed here. */
const NBD_MAGIC = Buffer.from('NBDMAGIC');
const OPTION_MAGIC = Buffer.from('IHAVEOPT');
const FIXED_NEWSTYLE = 1;
const OPT_GO = 7;
const REP_ACK = 1;
const REP_INFO = 3;
const INFO_EXPORT = 0;
const SENDS_FLUSH = 4;
const INFO_BYTES = 12;
const REPLY_BYTES_MAX = 65_536;
const REQUEST_MAGIC = 0x25609513;
const CMD_DISC = 2;
const CMD_FLUSH = 3;

/** Resolves when the server has answered; rejects where the connection ends before. */
async function converse(socket: Socket, name: string): Promise<void> {
  const pieces = new Pieces(socket);
  const greeting = await pieces.next(18);
  if (!greeting.subarray(0, 8).equals(NBD_MAGIC)) throw new Error('no NBD server');
  if (!greeting.subarray(8, 16).equals(OPTION_MAGIC)) return; // of the old style: it has answered
  socket.write(Buffer.concat([numbers(FIXED_NEWSTYLE), goTo(name)]));
  let flags = 0;
  for (;;) {
    const header = await pieces.next(20);
    const kind = header.readUInt32BE(12);
    const sizeBytes = header.readUInt32BE(16);
    if (sizeBytes > REPLY_BYTES_MAX) return; // no server does that
    const data = sizeBytes === 0 ? Buffer.alloc(0) : await pieces.next(sizeBytes);
    if (kind === REP_ACK) break;
    if (kind !== REP_INFO) return; // refused: it wants TLS, or knows no such export
    if (sizeBytes >= INFO_BYTES && data.readUInt16BE(0) === INFO_EXPORT) flags = data.readUInt16BE(10);
  }
  if ((flags & SENDS_FLUSH) !== 0) {
    socket.write(request(CMD_FLUSH));
    await pieces.next(16);
  }
  socket.end(request(CMD_DISC));
}

function goTo(name: string): Buffer {
  const text = Buffer.from(name);
  const data = Buffer.concat([numbers(text.length), text, Buffer.alloc(2)]);
  return Buffer.concat([OPTION_MAGIC, numbers(OPT_GO, data.length), data]);
}

/** Magic, flags and command; then cookie, offset and length, which are all zero. */
function request(command: number): Buffer {
  return Buffer.concat([numbers(REQUEST_MAGIC, command), Buffer.alloc(20)]);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, 4 * at);
  return bytes;
}

/** What arrives, in pieces of asked sizes; a connection that ends before is an error. */
class Pieces {
  readonly #chunks: AsyncIterator<Buffer>;
  #held = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async next(sizeBytes: number): Promise<Buffer> {
    while (this.#held.length < sizeBytes) {
      const { done, value } = await this.#chunks.next();
      if (done) throw new Error('the connection has ended');
      this.#held = Buffer.concat([this.#held, value]);
    }
    const piece = this.#held.subarray(0, sizeBytes);
    this.#held = this.#held.subarray(sizeBytes);
    return piece;
  }
}
