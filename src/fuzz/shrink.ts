/**
 * Makes a failing scenario smaller while it still breaks the same law, so that people can read it. Greedy and bounded: the
 * result is small, not smallest.
 */
import { STEADY } from './draw/draw-scenario.ts';
import { judge } from './laws/laws.ts';
import { runScenario } from './run/run-scenario.ts';
import type { PlannedFault, Scenario } from './scenario/scenario.ts';

const RUNS_MAX = 400;

/** The smallest scenario found that breaks this law too. */
export async function shrink(scenario: Scenario, law: string): Promise<Scenario> {
  let smallest = scenario;
  let runs = 0;
  for (let found = true; found && runs < RUNS_MAX; ) {
    found = false;
    for (const candidate of smaller(smallest)) {
      runs += 1;
      if (runs > RUNS_MAX) break;
      const violations = judge(await runScenario(candidate));
      if (!violations.some(violation => violation.law === law)) continue;
      smallest = candidate;
      found = true;
      break;
    }
  }
  return smallest;
}

/** Scenarios that are a little simpler, the most promising first. */
function* smaller(scenario: Scenario): Generator<Scenario> {
  for (const list of ['faults', 'deaths', 'signals'] as const) {
    for (let index = 0; index < scenario[list].length; index += 1) {
      yield { ...scenario, [list]: scenario[list].toSpliced(index, 1) };
    }
  }
  yield* fewerDisks(scenario);
  yield* plainer(scenario);
  for (const [index, fault] of scenario.faults.entries()) {
    for (const simpler of simplerFaults(fault)) {
      yield { ...scenario, faults: scenario.faults.with(index, simpler) };
    }
  }
}

function* fewerDisks(scenario: Scenario): Generator<Scenario> {
  const { guest, wish } = scenario;
  const named = wish.named.filter(index => index < guest.disks - 1);
  if (named.length > 0) {
    yield { ...scenario, guest: { ...guest, disks: guest.disks - 1 }, wish: { ...wish, named } };
  }
  if (wish.named.length === 1) return;
  for (let index = 0; index < wish.named.length; index += 1) {
    yield { ...scenario, wish: { ...wish, named: wish.named.toSpliced(index, 1) } };
  }
}

const PLAIN_GUEST = {
  profile: '7.2',
  style: 'blockdev',
  bus: 'virtio-blk',
  iothreads: false,
  backingLayers: 0,
  format: 'qcow2',
  paused: false,
} as const;
const PLAIN_COPY = { parallel: 1, shallow: false, to: 'qcow2', syncWrites: false, finish: 'pivot' } as const;

function* plainer(scenario: Scenario): Generator<Scenario> {
  const { guest, wish } = scenario;
  for (const [key, value] of Object.entries(PLAIN_GUEST)) {
    if (guest[key as keyof typeof PLAIN_GUEST] !== value) {
      yield { ...scenario, guest: { ...guest, [key]: value } };
    }
  }
  if (guest.filters !== undefined) {
    const { filters: _, filtered: __, inline: ___, ...bare } = guest;
    yield { ...scenario, guest: bare };
  }
  if (guest.inline) {
    const { inline: _, ...apart } = guest;
    yield { ...scenario, guest: apart };
  }
  if (guest.encrypted) {
    const { encrypted: _, ...clear } = guest;
    yield { ...scenario, guest: clear };
  }
  if (guest.storageDaemon) {
    const { storageDaemon: _, ...withGuest } = guest;
    yield { ...scenario, guest: withGuest };
  }
  if (wish.without.length > 0) yield { ...scenario, wish: { ...wish, without: [] } };
  if (scenario.pace !== STEADY) yield { ...scenario, pace: STEADY };
  if (wish.maxBlackoutMs !== 1_000) yield { ...scenario, wish: { ...wish, maxBlackoutMs: 1_000 } };
  if (scenario.lingerMs !== 0) yield { ...scenario, lingerMs: 0 };
  if (wish.operation !== 'copy') return;
  for (const [key, value] of Object.entries(PLAIN_COPY)) {
    if (wish[key as keyof typeof PLAIN_COPY] !== value) {
      yield { ...scenario, wish: { ...wish, [key]: value } };
    }
  }
}

function* simplerFaults(fault: PlannedFault): Generator<PlannedFault> {
  if ('nth' in fault && fault.nth !== undefined && fault.nth > 1) yield { ...fault, nth: fault.nth - 1 };
}
