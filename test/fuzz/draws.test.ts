import { describe, expect, test } from 'vitest';
import { ALL, drawScenario } from '../../src/fuzz/draw/draw-scenario.ts';
import { SWITCHES } from '../../src/fuzz/draw/swarm.ts';
import { FAULT_KINDS } from '../../src/fuzz/scenario/fault-kinds.ts';
import { FOREIGN_COMMANDS } from '../../src/fuzz/scenario/foreign-commands.ts';

const RUNS = 2_000;
const scenarios = Array.from({ length: RUNS }, (_, seed) => drawScenario(seed, { ...ALL, held: true }));

describe('what is drawn', () => {
  test('is every kind of fault, and every command of a third party', () => {
    const faults = scenarios.flatMap(scenario => scenario.faults);
    const kinds: ReadonlySet<string> = new Set(
      faults.map(fault => (fault.kind === 'refuse' && fault.lasting ? 'refuse lasting' : fault.kind)),
    );
    expect(Object.keys(FAULT_KINDS).filter(kind => !kinds.has(kind))).toEqual([]);
    const sent = new Set(faults.flatMap(fault => (fault.kind === 'otherClient' ? [fault.execute] : [])));
    const commands = Object.keys(FOREIGN_COMMANDS).map(name => name.replace(/ (force|image)$/, ''));
    expect(commands.flatMap(name => name.split(', ')).filter(name => !sent.has(name))).toEqual([]);
  });

  test('is nothing that is held, unless that is asked for', () => {
    const drawn = Array.from({ length: RUNS }, (_, seed) => drawScenario(seed)).flatMap(
      ({ faults }) => faults,
    );
    const isFree = new Set(
      Object.entries(FOREIGN_COMMANDS).flatMap(([name, { held: why }]) =>
        why === undefined ? [name.replace(/ (force|image)$/, '')] : [],
      ),
    );
    const sent = drawn.flatMap(fault => (fault.kind === 'otherClient' ? [fault.execute] : []));
    expect([...new Set(sent)].filter(name => !isFree.has(name))).toEqual([]);
  });

  test('does without half of everything in most runs, and names it', () => {
    const off = scenarios.map(scenario => scenario.off ?? []);
    const share = off.filter(names => names.length > 0).length / RUNS;
    expect(share).toBeGreaterThan(0.5);
    expect(share).toBeLessThan(0.8);
    for (const name of SWITCHES) {
      const times = off.filter(names => names.includes(name)).length / RUNS;
      expect(times, name).toBeGreaterThan(0.25);
      expect(times, name).toBeLessThan(0.42);
    }
  });

  test('is nothing that is off in the run', () => {
    for (const { off = [], faults, wish, guest } of scenarios) {
      const names = faults.map(fault =>
        fault.kind === 'refuse' && fault.lasting ? 'refuse lasting' : fault.kind,
      );
      // What turns a saga back is a refusal by another name, and the agent goes wrong by itself.
      expect(names.filter(name => off.includes(name) && !AIMED.has(name))).toEqual([]);
      expect(off).not.toContain(wish.operation);
      expect(off.includes('paused') && guest.paused).toBe(false);
    }
  });
});

const AIMED: ReadonlySet<string> = new Set(['refuse', 'replyLost', 'replyLate', 'cut', 'kill']);
