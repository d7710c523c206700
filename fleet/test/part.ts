/** The processes of a fleet on one machine, as something that can be killed, stopped and begun again; and how they are asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const UP_MS = 60_000;

/** A process that can be killed and begun again at the same place. */
export class Part {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #isUp: () => Promise<boolean>;
  readonly lines: string[] = [];
  #child: ChildProcess | undefined;

  constructor(
    name: string,
    command: readonly string[],
    isUp: () => Promise<boolean>,
    env: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.#command = command;
    this.#isUp = isUp;
    this.#env = env;
  }

  async start(): Promise<void> {
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, {
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.once('exit', (code, signal) =>
      this.lines.push(`${this.name} has ended: ${signal ?? `status ${code}`}`),
    );
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', line => this.lines.push(line));
    const untilMs = Date.now() + UP_MS;
    while (!(await this.#isUp().catch(() => false))) {
      if (Date.now() > untilMs || child.exitCode !== null)
        throw new Error(`${this.name} did not come up: ${this.lines.slice(-20).join('\n')}`);
      await sleep(50);
    }
  }

  /** Stops the process (SIGSTOP), or resumes it (SIGCONT). */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
    child.kill(signal);
    await gone;
  }
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly [field: string]: unknown };
}

export function post(url: string, body?: object | string): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return ask(
    url,
    body === undefined ? { method: 'POST' } : { method: 'POST', headers, body: JSON.stringify(body) },
  );
}

/** Asked again while nothing listens there: a server that was killed is begun again. */
export async function ask(url: string, options: RequestInit = {}): Promise<Answer> {
  for (const untilMs = Date.now() + UP_MS; ; await sleep(100)) {
    try {
      const response = await fetch(url, options);
      const text = await response.text();
      return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
    } catch (error) {
      if (Date.now() > untilMs) throw error;
    }
  }
}

/** The server itself: its package's own command is another process, whose death would not be the server's. */
export function restateServer(): string {
  return createRequire(import.meta.url).resolve(
    `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  );
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
