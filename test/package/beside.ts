/**
 * What a page says that its reader has besides guests, for its snippets to run with: an inspector that listens at its port, and a QEMU
 * whose monitor is behind TLS, started as the page says. What stands for the reader's own in a snippet is replaced by these.
 */
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { invariant } from '../../src/errors.ts';
import { makeCertificates, portOf } from '../qemu/tls-certificates.ts';

/** An inspector, and what it has been sent. */
export class InspectorAtPort implements AsyncDisposable {
  readonly heard: { readonly type: string; readonly sessionId?: string }[] = [];
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', socket => {
      socket.on('message', data => this.heard.push(JSON.parse(String(data))));
    });
  }

  static async start(): Promise<InspectorAtPort> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return new InspectorAtPort(server);
  }

  /** The program with this one for the reader's. */
  put(program: string): string {
    const { port } = this.#server.address() as AddressInfo;
    return program.replace('ws://127.0.0.1:8080', `ws://127.0.0.1:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise(resolve => this.#server.close(resolve));
  }
}

/** A guest whose QEMU verifies the certificates of those who speak to its monitor. */
export class QemuBehindTls implements AsyncDisposable {
  readonly vm: GuestVm;
  readonly #port: number;
  readonly #certificates: string;

  private constructor(vm: GuestVm, port: number, certificates: string) {
    this.vm = vm;
    this.#port = port;
    this.#certificates = certificates;
  }

  /** `page` has the options of QEMU's command line. */
  static async start(folder: string, page: string): Promise<QemuBehindTls> {
    const [made, qemus, clients] = ['made', 'qemu', 'me'].map(name => join(folder, name));
    invariant(made !== undefined && qemus !== undefined && clients !== undefined, 'three folders');
    for (const each of [made, qemus, clients]) mkdirSync(each, { recursive: true });
    makeCertificates(made);
    const give = (name: string, to: string) =>
      copyFileSync(join(made, `${name}.pem`), join(to, `${name}.pem`));
    for (const name of ['ca-cert', 'server-cert', 'server-key']) give(name, qemus);
    for (const name of ['ca-cert', 'client-cert', 'client-key']) give(name, clients);
    const shown = /^```\n(-object tls-creds-x509.*?)^```$/ms.exec(page)?.[1];
    invariant(shown !== undefined, 'the page has the options of QEMU');
    const options = shown
      .replace('/etc/pki/qemu', qemus)
      .replace('host=0.0.0.0,port=4444', 'host=127.0.0.1,port=0');
    const vm = await startGuestVm({ disks: 1, extraArguments: options.trim().split(/\s+/) });
    return new QemuBehindTls(vm, await portOf(vm.witness), clients);
  }

  /** The program with this host, this port, and these folders for the reader's. */
  put(program: string): string {
    return program
      .replace("'host7'", "'localhost'")
      .replace('4444', String(this.#port))
      .replace('/etc/pki/me', this.#certificates)
      .replace('/new/', `${this.vm.directory}/new-`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vm[Symbol.asyncDispose]();
  }
}
