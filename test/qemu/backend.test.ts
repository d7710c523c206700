/**
 * The example backend as processes, on a real QEMU: ended by SIGTERM or killed in each state in turn, at most in a hurry: no guest
 * stays paused behind a SIGTERM, no saga is lost, and no request is done twice.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaNotice, SagaResult } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';

const PROGRAM = fileURLToPath(new URL('../../examples/backend/server.ts', import.meta.url));

class Backend implements AsyncDisposable {
  readonly socket: string;
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly #ended: Promise<unknown>;

  constructor(folder: string) {
    this.socket = join(folder, 'backend.sock');
    const args = ['--disable-warning=ExperimentalWarning', PROGRAM, join(folder, 'journal.db'), this.socket];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = once(this.child, 'exit');
  }

  static async start(folder: string): Promise<Backend> {
    const backend = new Backend(folder);
    await createInterface({ input: backend.child.stdout })[Symbol.asyncIterator]().next();
    return backend;
  }

  /** The parts of the answer as they come. */
  async *stream(method: string, path: string, body?: object): AsyncGenerator<string, number> {
    const asked = request({ socketPath: this.socket, method, path });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(asked, 'response');
    for await (const chunk of response.setEncoding('utf8')) yield chunk;
    return response.statusCode;
  }

  async ask(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const parts = this.stream(method, path, body);
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

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.child.kill(signal);
    await this.#ended;
    return this.child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
  }
}

async function isRunning(vm: GuestVm): Promise<boolean> {
  return ((await vm.witness.execute('query-status')) as { running: boolean }).running;
}

async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 64 * 1024 * 1024, pacingUs: 2_000 });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return vm;
}

const copyOf = (vm: GuestVm, id: string) => ({
  ...{ id, vm: 'web', qmp: vm.monitor },
  disks: [0, 1].map(at => ({ disk: `dev${at}`, to: join(vm.directory, `${id}-${at}.qcow2`) })),
  metadata: { task: id },
});

const STATES = [
  'preparing.createImages',
  'mirroring.mirrorDisks',
  'switching.insertFilters',
  'switching.pauseGuest',
  'switching.reopenFilters',
  'switching.resumeGuest',
  'cleaningUp.removeFilters',
];

describeOnQemu('a backend whose process ends', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('by %s in each state in turn', async signal => {
    const vm = await guest();
    const folder = temporaryFolder();
    for (const [at, state] of STATES.entries()) {
      const id = `${signal.toLowerCase()}-${at}`;
      await using first = await Backend.start(folder);
      const wanted = copyOf(vm, id);
      expect((await first.ask('POST', '/sagas/copy', wanted)).status, state).toBe(202);
      await first.reaches(id, state);
      const status = await first.end(signal);
      if (signal === 'SIGTERM') expect([status, await isRunning(vm)], state).toEqual([0, true]);
      await using next = await Backend.start(folder);
      // The client has had no answer, and asks again; only one saga comes of it.
      const again = await next.ask('POST', '/sagas/copy', wanted);
      expect(again, state).toEqual({ status: 202, body: { id, vm: 'web' } });
      const { body } = await next.ask('GET', `/sagas/${id}/result`);
      expect((body as SagaResult).outcome, state).toBe('committed');
      expect(await isRunning(vm), state).toBe(true);
      const list = (await next.ask('GET', '/sagas?vm=web')).body as { sagas: { id: string }[] };
      expect(
        list.sagas.filter(saga => saga.id === id),
        state,
      ).toHaveLength(1);
      await next.end('SIGTERM');
    }
  });

  test('tells of a saga, switches one that waits, and refuses what it should', async () => {
    const vm = await guest();
    await using backend = await Backend.start(temporaryFolder());
    const wanted = { ...copyOf(vm, 'waits'), finish: 'leave' };
    await backend.ask('POST', '/sagas/copy', wanted);
    await backend.reaches('waits', 'ready.awaitSignal');
    const busy = await backend.ask('POST', '/sagas/copy', copyOf(vm, 'other'));
    expect(busy).toMatchObject({ status: 409, body: { code: 'VM_BUSY', blockedBy: { saga: 'waits' } } });
    const conflict = await backend.ask('POST', '/sagas/copy', { ...wanted, parallel: 1 });
    expect(conflict).toMatchObject({ status: 409, body: { code: 'ID_CONFLICT' } });
    expect((await backend.ask('POST', '/sagas/copy', { disks: 7 })).status).toBe(400);
    expect((await backend.ask('GET', '/sagas?state=waiting')).body).toMatchObject({
      sagas: [{ id: 'waits', state: 'waiting', metadata: { task: 'waits' } }],
    });
    const events = (async () => {
      let text = '';
      for await (const part of backend.stream('GET', '/sagas/waits/events')) text += part;
      return [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, type, data]) => ({
        type,
        data: JSON.parse(data ?? '') as SagaNotice | SagaResult,
      }));
    })();
    expect((await backend.ask('POST', '/sagas/waits/pivot')).body).toMatchObject({ outcome: 'committed' });
    const heard = [...(await events)];
    const phases = heard.flatMap(({ data }) => ('phase' in data ? [data.phase] : []));
    expect(phases).toEqual(expect.arrayContaining(['mirroring', 'waiting', 'paused', 'cleaningUp', 'ended']));
    expect(heard.at(-1)).toMatchObject({ type: 'result', data: { outcome: 'committed' } });
  });
});
