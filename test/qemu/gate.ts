/**
 * A gate in front of a QEMU's monitor, as a socket of its own, for a client that is another process. It holds each command until it is
 * told what becomes of it, and counts those that it lets pass. What QEMU says passes as it is, or is told otherwise.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** What becomes of a command. */
export type Verdict = 'pass' | 'refuse' | 'drop';

export interface Held {
  readonly execute: string;
  readonly arguments?: { readonly [name: string]: unknown };
  readonly id?: number;
}

export class Gate implements AsyncDisposable {
  readonly socket: string;
  readonly passed: Held[] = [];
  /** Asked for each command, one after the other. */
  judge: (held: Held) => Promise<Verdict> = async () => 'pass';
  /** What the client hears instead of a line of QEMU's. */
  tell: (line: string) => string = line => line;
  readonly #monitor: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(socket: string, monitor: string) {
    this.socket = socket;
    this.#monitor = monitor;
    this.#server = createServer(client => this.#serve(client));
  }

  async listen(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(this.socket, resolve));
    return this;
  }

  #serve(client: Socket): void {
    const qemu = createConnection(this.#monitor);
    for (const [one, other] of [
      [client, qemu],
      [qemu, client],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
    }
    onLines(qemu, line => client.write(`${this.tell(line)}\r\n`));
    let order: Promise<void> = Promise.resolve();
    onLines(client, line => {
      order = order.then(() => this.#command(line, client, qemu));
    });
  }

  async #command(line: string, client: Socket, qemu: Socket): Promise<void> {
    const held = JSON.parse(line) as Held;
    const verdict = await this.judge(held);
    if (verdict === 'drop') return;
    if (verdict === 'refuse') {
      const error = { class: 'GenericError', desc: 'the gate has refused it' };
      client.write(`${JSON.stringify({ error, id: held.id })}\r\n`);
      return;
    }
    this.passed.push(held);
    qemu.write(`${line}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise(resolve => this.#server.close(resolve));
  }
}

/** An interface throws the errors of its socket once more, also where the socket has a listener for them. */
function onLines(socket: Socket, take: (line: string) => void): void {
  createInterface({ input: socket })
    .on('line', take)
    .on('error', () => undefined);
}
