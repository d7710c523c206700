/**
 * The example backend as processes, on a real QEMU: ended by SIGTERM or killed in each state in turn, at most in a hurry: no guest
 * stays paused behind a SIGTERM, no saga is lost, and no request is done twice.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaNotice, SagaResult } from '../../src/index.ts';
import { serveSim } from '../../src/sim/serve.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull, turns } from '../tiers/tier.ts';
import { Backend, changes, type Disturbance } from './backend-process.ts';
import { Gate } from './gate.ts';
import { SLOW_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

async function isRunning(vm: GuestVm): Promise<boolean> {
  return ((await vm.witness.execute('query-status')) as { running: boolean }).running;
}

async function guest(): Promise<GuestVm> {
  const vm = await startGuestVm({ disks: 2, sizeBytes: 64 * 1024 * 1024, pacingUs: SLOW_PACING_US });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return vm;
}

const copyOf = (vm: GuestVm, id: string) => ({
  ...{ id, vm: 'web', qmp: vm.monitor },
  disks: [0, 1].map(at => ({ disk: `dev${at}`, to: join(vm.directory, `${id}-${at}.qcow2`) })),
  metadata: { task: id },
});

/** How a copy is brought into a state that an undisturbed one does not enter. */
type Way = 'undisturbed' | 'behind' | 'refused' | 'stuck';

/** Every state of docs/machines/copy-reopen.mmd that is no end, with a way into it. */
const STATES: Readonly<Record<string, Way>> = {
  'preparing.markQemu': 'undisturbed',
  'preparing.claimFiles': 'undisturbed',
  'preparing.createImages': 'undisturbed',
  'mirroring.insertFiltersLive': 'undisturbed',
  'mirroring.mirrorDisks': 'undisturbed',
  'ready.awaitConvergence': 'undisturbed',
  'switching.pauseGuest': 'undisturbed',
  'switching.endMirrorsInPlace': 'undisturbed',
  'switching.reopenFilters': 'undisturbed',
  'switching.resumeGuest': 'undisturbed',
  'switching.backingOff': 'behind',
  'cleaningUp.removeFiltersLive': 'undisturbed',
  'cleaningUp.dismissMirrors': 'undisturbed',
  'cleaningUp.closeOldNodes': 'undisturbed',
  'cleaningUp.unmarkQemu': 'undisturbed',
  'compensating.undo reopenFilters': 'refused',
  'compensating.undo endMirrorsInPlace': 'refused',
  'compensating.undo pauseGuest': 'refused',
  'compensating.undo mirrorDisks': 'refused',
  'compensating.undo insertFiltersLive': 'refused',
  'compensating.undo createImages': 'refused',
  'compensating.undo claimFiles': 'refused',
  'compensating.undo markQemu': 'refused',
  stranded: 'stuck',
};

/** A mirror with bytes left to copy where QEMU says that it has none. */
const behind = (line: string) => line.replaceAll(/("dirty-bitmaps": \[\{[^\]]*"count": )\d+/g, '$11048576');

const refusedIn = (place: string): Disturbance => ({
  judge: (state, held) => (state === place && changes(held) ? 'refuse' : 'pass'),
});

/** What the gate does for each way, in a state of the saga. */
const WAYS: Readonly<Record<Way, Disturbance>> = {
  undisturbed: { judge: () => 'pass' },
  behind: {
    judge: () => 'pass',
    tell: (state, line) =>
      /^switching\.(?:pauseGuest|endMirrorsInPlace)$/.test(state) ? behind(line) : line,
  },
  refused: refusedIn('switching.reopenFilters'),
  stuck: refusedIn('switching.resumeGuest'),
};

/** In the pause both are right: where a process dies before the beginning of an undo is on disk, the next one switches. */
function mayBecome(way: Way, state: string, signal: string): readonly string[] {
  const isPaused = /undo (?:reopenFilters|endMirrorsInPlace|pauseGuest)$/.test(state);
  if (way !== 'refused') return ['committed'];
  return isPaused && signal === 'SIGKILL' ? ['rolledBack', 'committed'] : ['rolledBack'];
}

/** In the quick tier every twelfth state with each of the two signals. */
function statesOf(states: readonly string[], signal: string): readonly string[] {
  return states.filter((_, at) => isFull || at % 12 === (signal === 'SIGTERM' ? 1 : 8));
}

/** A simulated guest on a socket of its own, which the backend reaches like all others. */
async function simulated(name: string) {
  const directory = temporaryFolder();
  const server = await serveSim({ listen: join(directory, name), disks: 2, directory });
  onTestFinished(() => server.close());
  const wanted = (id: string) => ({
    ...{ id, vm: name, qmp: join(directory, name), finish: 'leave' },
    disks: [0, 1].map(at => ({ disk: `disk${at}`, to: join(directory, `${id}-${at}.qcow2`) })),
  });
  return { server, wanted };
}

const inTurn = turns();

describeOnQemu('a backend whose process ends', () => {
  test('is one file of less than 250 lines', () => {
    const program = readFileSync(new URL('../../examples/backend/server.ts', import.meta.url), 'utf8');
    expect(program.trimEnd().split('\n').length).toBeLessThan(250);
  });

  test('has every state of its chart to be ended in', () => {
    const chart = readFileSync(new URL('../../docs/machines/copy-reopen.mmd', import.meta.url), 'utf8');
    const ends = ['committed', 'rolledBack', 'needsRecovery'];
    const named = [...chart.matchAll(/^( +)state "([^"]+)" as (\w+)( \{)?$/gm)].flatMap(
      ([, , name, key, inner]) => {
        const group = key?.slice(0, -`_${name?.replaceAll(' ', '_')}`.length);
        return inner !== undefined || ends.includes(name ?? '')
          ? []
          : [group === '' ? name : `${group}.${name}`];
      },
    );
    expect(Object.keys(STATES).toSorted()).toEqual(named.toSorted());
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('by %s in each state in turn', async signal => {
    const vm = await guest();
    const folder = temporaryFolder();
    await using gate = await new Gate(join(folder, 'gate.qmp'), vm.monitor).listen();
    await using backends = new AsyncDisposableStack();
    let first = backends.use(await Backend.start(folder));
    for (const [at, state] of statesOf(Object.keys(STATES), signal).entries()) {
      const way = STATES[state] ?? 'undisturbed';
      const id = `${signal.toLowerCase()}-${at}`;
      const wanted = { ...copyOf(vm, id), qmp: gate.socket };
      const asked = first.followed(id, gate, WAYS[way], state);
      const answer = await first.ask('POST', '/sagas/copy', wanted);
      expect(answer.status, `${state}: ${JSON.stringify(answer.body)}`).toBe(202);
      await asked.reached;
      const status = await first.end(signal);
      if (signal === 'SIGTERM') expect([status, await isRunning(vm)], state).toEqual([0, true]);
      gate.judge = async () => 'pass';
      gate.tell = line => line;
      const next = backends.use(await Backend.start(folder));
      // The client has had no answer, and asks again; only one saga comes of it.
      const again = await next.ask('POST', '/sagas/copy', wanted);
      expect(again, state).toEqual({ status: 202, body: { id, vm: 'web' } });
      const { body } = await next.ask('GET', `/sagas/${id}/result`);
      const { outcome } = body as SagaResult;
      expect(mayBecome(way, state, signal), `${state}: ${JSON.stringify(body)}`).toContain(outcome);
      expect(await isRunning(vm), state).toBe(true);
      const list = (await next.ask('GET', '/sagas?vm=web')).body as {
        sagas: { id: string; state: string }[];
      };
      expect(
        list.sagas.filter(saga => saga.id === id).map(saga => saga.state),
        state,
      ).toEqual([outcome]);
      const mirrors = gate.passed.splice(0).filter(({ execute }) => execute === 'blockdev-mirror');
      const targets = mirrors.map(({ arguments: { target } = {} }) => target);
      expect(targets.length, `${state}: no disk is mirrored twice`).toBe(new Set(targets).size);
      if (outcome === 'committed') expect(targets, state).toHaveLength(wanted.disks.length);
      first = next;
    }
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('by %s while it waits, or is taken back', async signal => {
    const vm = await guest();
    const folder = temporaryFolder();
    const both = ['ready.awaitSignal', 'compensating.undo mirrorDisks'];
    for (const state of inTurn(both)) {
      const at = both.indexOf(state);
      const id = `back-${at}`;
      const wanted = { ...copyOf(vm, id), finish: 'leave' };
      await using first = await Backend.start(folder);
      await first.ask('POST', '/sagas/copy', wanted);
      await first.reaches(id, 'ready.awaitSignal');
      const aborting = at === 0 ? undefined : first.ask('POST', `/sagas/${id}/abort`).catch(() => undefined);
      await first.reaches(id, state);
      const status = await first.end(signal);
      await aborting;
      if (signal === 'SIGTERM') expect([status, await isRunning(vm)], state).toEqual([0, true]);
      await using next = await Backend.start(folder);
      await next.ask('POST', '/sagas/copy', wanted);
      if (at === 0) {
        // What waits is found waiting, and switches when it is told to.
        expect((await next.ask('GET', '/sagas?state=waiting')).body).toMatchObject({ sagas: [{ id }] });
        expect((await next.ask('POST', `/sagas/${id}/pivot`)).body).toMatchObject({ outcome: 'committed' });
      }
      const { body } = await next.ask('GET', `/sagas/${id}/result`);
      const expected = at === 0 ? 'committed' : 'rolledBack';
      expect(body, state).toMatchObject({ outcome: expected, leftovers: [] });
      expect(await isRunning(vm), state).toBe(true);
      await next.end('SIGTERM');
    }
  });

  test.each(inTurn(['SIGTERM', 'SIGKILL'] as const))(
    'by %s with a real guest and two simulated ones at work at once',
    async signal => {
      const vm = await guest();
      const sims = [await simulated('sim0'), await simulated('sim1')];
      const folder = temporaryFolder();
      const wanted = [copyOf(vm, 'real'), ...sims.map((sim, at) => sim.wanted(`sim-${at}`))];
      await using first = await Backend.start(folder);
      for (const each of wanted) expect((await first.ask('POST', '/sagas/copy', each)).status).toBe(202);
      await first.reaches('sim-0', 'ready.awaitSignal');
      await first.reaches('real', 'switching.endMirrorsInPlace');
      await first.end(signal);
      await using next = await Backend.start(folder);
      for (const each of wanted) expect((await next.ask('POST', '/sagas/copy', each)).status).toBe(202);
      for (const at of [0, 1]) {
        await next.reaches(`sim-${at}`, 'ready.awaitSignal');
        const { body } = await next.ask('POST', `/sagas/sim-${at}/pivot`);
        expect(body).toMatchObject({ outcome: 'committed' });
      }
      expect((await next.ask('GET', '/sagas/real/result')).body).toMatchObject({ outcome: 'committed' });
      const { sagas } = (await next.ask('GET', '/sagas')).body as { sagas: { id: string; state: string }[] };
      expect(sagas.map(({ id, state }) => `${id} ${state}`).toSorted()).toEqual(
        ['real', 'sim-0', 'sim-1'].map(id => `${id} committed`),
      );
      expect([await isRunning(vm), ...sims.map(({ server }) => server.sim.world.running)]).toEqual([
        true,
        true,
        true,
      ]);
    },
  );

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
