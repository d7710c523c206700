/** The example backend as a process, and what its clients ask of it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { asOneFile } from '../one-file.ts';
import type { Gate, Held, Verdict } from './gate.ts';

const PROGRAM = fileURLToPath(new URL('../../examples/backend/server.ts', import.meta.url));
/** With the packages that it uses, but for the one that a preload uses, too. */
const OUTSIDE = /^(?:node:|@opentelemetry\/)/;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Started {
  /** Of its socket; several may be on one journal. */
  readonly name?: string;
  /** Of Node. */
  readonly options?: readonly string[];
  /** A copy of the example in a project of its own; the example as one file if not said. */
  readonly program?: string;
}

/** What a gate does to a saga, by the state that it is in. */
export interface Disturbance {
  judge(state: string, held: Held): Verdict;
  tell?(state: string, line: string): string;
}

const ONLY_TELL = /^(?:query-|qom-list$|qom-get$|x-debug-query-|qmp_capabilities$)/;
export const changes = ({ execute }: Held) => !ONLY_TELL.test(execute);

export class Backend implements AsyncDisposable {
  readonly socket: string;
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly #ended: Promise<unknown>;

  constructor(folder: string, program: string, { name = 'backend', options = [] }: Started) {
    this.socket = join(folder, `${name}.sock`);
    const warnings = '--disable-warning=ExperimentalWarning';
    const args = [warnings, ...options, program, join(folder, 'journal.db'), this.socket];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = once(this.child, 'exit');
  }

  static async start(folder: string, how: Started = {}): Promise<Backend> {
    const backend = new Backend(folder, how.program ?? (await asOneFile(PROGRAM, OUTSIDE)), how);
    await createInterface({ input: backend.child.stdout })[Symbol.asyncIterator]().next();
    return backend;
  }

  /** The parts of the answer as they come. */
  async *stream(method: string, path: string, body?: object, headers = {}): AsyncGenerator<string, number> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const asked = request({ socketPath: this.socket, method, path, headers: { ...json, ...headers } });
    // Behind the head of its answer the process may be killed: reading the answer says so.
    asked.on('error', () => undefined);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(asked, 'response');
    for await (const chunk of response.setEncoding('utf8')) yield chunk;
    return response.statusCode;
  }

  async ask(method: string, path: string, body?: object, headers = {}): Promise<Answer> {
    const parts = this.stream(method, path, body, headers);
    let text = '';
    for (;;) {
      const { done, value } = await parts.next();
      if (done) return { status: value, body: JSON.parse(text) };
      text += value;
    }
  }

  /** Resolves when the saga's notices reach a state, or end. */
  async reaches(id: string, state: string): Promise<void> {
    let text = '';
    try {
      for await (const part of this.stream('GET', `/sagas/${id}/events`)) {
        text += part;
        if (text.includes(`"state":"${state}"`)) return;
      }
    } catch {
      // The connection has ended with its process.
    }
  }

  /**
   * Follows a saga from its first effect on, which is held until then: each command waits until all is heard that has led to it.
   * `reached` resolves when a state is entered; nothing more passes the gate before it has been seen.
   */
  followed(
    id: string,
    gate: Gate,
    { judge, tell }: Disturbance,
    state: string,
  ): { readonly reached: Promise<void> } {
    const reached = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    let here = '';
    gate.tell = line => tell?.(here, line) ?? line;
    gate.judge = async held => {
      if (!changes(held) && here === '') return 'pass';
      if (here === '')
        void this.#follow(id, entered => {
          here = entered;
          heard.resolve();
          if (here === state) reached.resolve();
        });
      await heard.promise;
      // What was told before this answer is heard by now.
      await this.ask('GET', '/none').catch(() => undefined);
      return judge(here, held);
    };
    return { reached: reached.promise };
  }

  async #follow(id: string, entered: (state: string) => void): Promise<void> {
    let text = '';
    try {
      for await (const part of this.stream('GET', `/sagas/${id}/events`)) {
        text += part;
        const lines = text.split('\n');
        text = lines.pop() ?? '';
        for (const [, state] of lines.flatMap(line => [...line.matchAll(/"state":"([^"]*)"/g)]))
          entered(state ?? '');
      }
    } catch {
      // The connection has ended with its process.
    }
  }

  /** By SIGTERM as a supervisor in a hurry does it, twice. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.child.kill(signal);
    if (signal === 'SIGTERM') this.child.kill(signal);
    await this.#ended;
    return this.child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
  }
}
