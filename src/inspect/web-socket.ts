/**
 * The receiving side of a WebSocket (RFC 6455), as far as an inspector's client needs it: whole text messages, within a bound. It
 * sends nothing but what the protocol itself asks for.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** RFC 6455, 1.3: what a server adds to the client's key to show that it speaks the protocol. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const OPCODE = { continued: 0x0, text: 0x1, close: 0x8, ping: 0x9, pong: 0xa } as const;

const MESSAGE_BYTES_MAX = 1024 * 1024;

/** Takes the connection over. False where the request is no such one; the socket is left alone then. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  onMessage: (text: string) => void,
): boolean {
  const key = request.headers['sec-websocket-key'];
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) return false;
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const frames = new Frames(onMessage, socket);
  const take = (chunk: Buffer) => {
    if (!frames.take(chunk)) socket.destroy();
  };
  socket.on('data', take);
  socket.on('error', () => socket.destroy());
  take(head);
  return true;
}

/** Makes messages of what arrives. */
class Frames {
  readonly #onMessage: (text: string) => void;
  readonly #socket: Duplex;
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];

  constructor(onMessage: (text: string) => void, socket: Duplex) {
    this.#onMessage = onMessage;
    this.#socket = socket;
  }

  /** False for what is no frame of a client, or too large: the connection is to end. */
  take(chunk: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const frame = frameIn(this.#rest);
      if (frame === 'more') return true;
      if (frame === 'wrong') return false;
      this.#rest = this.#rest.subarray(frame.end);
      if (!this.#heard(frame)) return false;
    }
  }

  #heard({ opcode, isLast, payload }: Frame): boolean {
    if (opcode === OPCODE.ping) this.#socket.write(controlFrame(OPCODE.pong, payload));
    if (opcode === OPCODE.close) {
      this.#socket.end(controlFrame(OPCODE.close, payload.subarray(0, 2)));
      return true;
    }
    if (opcode !== OPCODE.text && opcode !== OPCODE.continued) return opcode >= OPCODE.close;
    this.#parts.push(payload);
    if (this.#parts.reduce((sum, { length }) => sum + length, 0) > MESSAGE_BYTES_MAX) return false;
    if (isLast) this.#onMessage(Buffer.concat(this.#parts.splice(0)).toString('utf8'));
    return true;
  }
}

interface Frame {
  readonly opcode: number;
  readonly isLast: boolean;
  readonly payload: Buffer;
  /** Where the next one begins. */
  readonly end: number;
}

/** RFC 6455, 5.2; a client masks all that it sends. */
function frameIn(bytes: Buffer): Frame | 'more' | 'wrong' {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return 'more';
  if ((second & 0x80) === 0) return 'wrong';
  const short = second & 0x7f;
  const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
  const at = 2 + extra;
  if (bytes.length < at + 4) return 'more';
  const length = extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (length > MESSAGE_BYTES_MAX) return 'wrong';
  const end = at + 4 + length;
  if (bytes.length < end) return 'more';
  const payload = Buffer.from(bytes.subarray(at + 4, end));
  for (let each = 0; each < payload.length; each += 1)
    payload[each] = (payload[each] ?? 0) ^ (bytes[at + (each % 4)] ?? 0);
  return { opcode: first & 0x0f, isLast: (first & 0x80) !== 0, payload, end };
}

/** What a client sends in these is 125 bytes at most, and so is what is sent back. */
function controlFrame(opcode: number, payload: Buffer): Buffer {
  const short = payload.subarray(0, 125);
  return Buffer.concat([Buffer.from([0x80 | opcode, short.length]), short]);
}
