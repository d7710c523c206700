/**
 * A wire between two parts of a fleet, through which all that they say goes: it can be cut, or hold its breath, and it knows the
 * moment at which a message passes. It changes nothing but the name in the header `Host`, by which an agent knows itself.
 */
import { once } from 'node:events';
import { createConnection, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';

/** The n-th message that looks like this: right before it arrives, or right before its answer does. */
export interface Boundary {
  readonly pattern: RegExp;
  readonly side: 'asked' | 'answered';
  readonly nth: number;
}

type Strike = () => Promise<void>;

export class Wire implements AsyncDisposable {
  readonly #server: Server;
  readonly #far: NetConnectOpts;
  readonly #sockets = new Set<Socket>();
  #armed: { readonly boundary: Boundary; left: number; readonly strike: Strike } | undefined;
  #isCut = false;

  private constructor(server: Server, far: NetConnectOpts) {
    this.#server = server;
    this.#far = far;
  }

  /** On a free port of this machine. */
  static async to(far: NetConnectOpts): Promise<Wire> {
    const server = createServer({ noDelay: true });
    const wire = new Wire(server, far);
    server.on('connection', near => wire.#join(near));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Strikes once; the message waits until that is done. */
  arm(boundary: Boundary, strike: Strike): void {
    this.#armed = { boundary, left: boundary.nth, strike };
  }

  disarm(): void {
    this.#armed = undefined;
  }

  /** Breaks what is open, and takes nothing else until it is mended. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }

  #join(near: Socket): void {
    if (this.#isCut) return void near.destroy();
    const far = createConnection({ ...this.#far, noDelay: true } as NetConnectOpts);
    let answering: Strike | undefined;
    this.#carry(near, far, async chunk => {
      const strike = this.#struckBy(chunk);
      if (strike?.side === 'asked') await strike.act();
      else if (strike !== undefined) answering = strike.act;
      return this.#named(chunk);
    });
    this.#carry(far, near, async chunk => {
      const strike = answering;
      answering = undefined;
      await strike?.();
      return chunk;
    });
  }

  #carry(from: Socket, to: Socket, pass: (chunk: Buffer) => Promise<Buffer>): void {
    let last = Promise.resolve();
    this.#sockets.add(from);
    from.on('data', chunk => {
      last = last.then(async () => {
        const passed = await pass(chunk as Buffer);
        if (!to.destroyed) to.write(passed);
      });
    });
    from.once('end', () => void last.then(() => to.end()));
    from.on('error', () => from.destroy());
    from.once('close', () => {
      this.#sockets.delete(from);
      void last.then(() => to.destroy());
    });
  }

  #struckBy(chunk: Buffer): { readonly side: Boundary['side']; readonly act: Strike } | undefined {
    const armed = this.#armed;
    if (armed === undefined || !armed.boundary.pattern.test(chunk.toString('latin1'))) return undefined;
    armed.left -= 1;
    if (armed.left > 0) return undefined;
    this.#armed = undefined;
    return { side: armed.boundary.side, act: armed.strike };
  }

  #named(chunk: Buffer): Buffer {
    const { port } = this.#far as { readonly port?: number };
    const text = chunk.toString('latin1');
    const asked = `\r\nhost: 127.0.0.1:${this.port}\r\n`;
    const at = port === undefined ? -1 : text.toLowerCase().indexOf(asked);
    if (at === -1) return chunk;
    return Buffer.from(
      `${text.slice(0, at)}\r\nHost: 127.0.0.1:${port}\r\n${text.slice(at + asked.length)}`,
      'latin1',
    );
  }
}
