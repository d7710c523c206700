/** A part of a group whose members have answered `go`, and whose leader, on another host, has not told what it decided. */
import { describe, expect, it } from 'vitest';
import { recordsInWords } from '../../src/cli/print/records-in-words.ts';
import { examine } from '../../src/engine/doctor/doctor.ts';
import type { AskLeader } from '../../src/engine/durable/group-across.ts';
import { decideWithoutLeader } from '../../src/engine/durable/leader-lost.ts';
import type { Junction } from '../../src/engine/group-hosts.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import type { MemoryJournalState } from '../../src/journal/memory.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import { Stage } from './group-stage.ts';
import { rejection } from './lives.ts';

const ATTEMPT = 'a1'.repeat(16);

/** Lets the part come to everything at once, and hears its answer. */
function leader(change: Partial<Junction> = {}) {
  const answered = Promise.withResolvers<void>();
  const junction: Junction = {
    planned: async () => ATTEMPT,
    prepared: async () => undefined,
    converged: async () => undefined,
    left: new AbortController().signal,
    taken: async () => undefined,
    confirmed: () => {
      answered.resolve();
      return new Promise(() => undefined);
    },
    leave: () => undefined,
    refuse: () => undefined,
    ...change,
  };
  return { answered: answered.promise, hosts: { ...FOLLOWS, junction } };
}

const FOLLOWS = { role: 'follows', host: 'h2', leader: 'h1', agent: 'https://h1:7171' } as const;

interface Left {
  readonly stage: Stage;
  readonly bases: readonly (readonly string[])[];
  readonly left: MemoryJournalState | undefined;
}

/** Its process dies when the leader has heard that both of its guests were paused. */
async function dieInDoubt(): Promise<Left> {
  const stage = new Stage([{}, {}]);
  const bases = stage.sims.map(sim => sim.world.fronts().map(({ path }) => path));
  const process = stage.process(undefined);
  const { answered, hosts } = leader();
  const begun = process.engine.group(stage.requests(process.guests), { id: 'g', hosts });
  begun.catch(() => undefined);
  await stage.clock.run(answered);
  process.die();
  return { stage, bases, left: process.left() };
}

function nextOf({ stage, left }: Left, askLeader?: AskLeader) {
  return stage.process(left, undefined, askLeader === undefined ? {} : { askLeader });
}

const sidesOf = ({ stage, bases }: Left) =>
  stage.sims.map((sim, at) =>
    sim.world.fronts().every(({ path }, disk) => path === bases[at]?.[disk]) ? 'old' : 'new',
  );

describe('a part in doubt', () => {
  it.each([
    ['committed', 'new'],
    ['rolledBack', 'old'],
  ] as const)(
    'is %s in a later process as its leader tells it, asked by its own attempt',
    async (told, side) => {
      const left = await dieInDoubt();
      const asked: unknown[] = [];
      const { engine, journal, guests } = nextOf(left, async part => {
        asked.push(part);
        return told;
      });
      const { clock } = left.stage;
      const group = await clock.run(engine.resumeGroup('g', { guests }));
      expect((await clock.run(group.result)).outcome).toBe(told);
      expect(journal.sagas().map(({ state }) => state)).toEqual([told, told, told]);
      expect(sidesOf(left)).toEqual([side, side]);
      const { agent, host, leader: name } = FOLLOWS;
      expect(asked).toEqual([{ group: 'g', host, leader: name, agent, attempt: ATTEMPT }]);
    },
  );

  it('goes neither way where the leader cannot be asked, its guests run, and the refusal says for what it waits', async () => {
    const left = await dieInDoubt();
    const { engine, journal, guests } = nextOf(left);
    const { clock, sims } = left.stage;
    for (const how of [{}, { signal: 'abort' }, { force: true }] as const) {
      const error = await clock.run(rejection(engine.resume('g.1', { ...guests[1], ...how })));
      expect(error).toMatchObject({ code: 'SAGA_STATE' });
      expect(error.message).toMatch(/waits for the decision that host h1 has .* \(https:\/\/h1:7171\)/);
    }
    expect(await clock.run(rejection(engine.resumeGroup('g', { guests })))).toMatchObject({
      code: 'SAGA_STATE',
    });
    expect(journal.sagas().map(({ state }) => state)).toEqual(['open', 'open', 'open']);
    expect(sidesOf(left)).toEqual(['new', 'new']);
    for (const { world } of sims) expect(world.running).toBe(true);
    const findings = await clock.run(examine({ journal }));
    expect(findings.map(({ why }) => /waits for the decision that host h1 has/.test(why))).toEqual([
      true,
      true,
      true,
    ]);
  });

  it('is not recovered offline to either side before it is told', async () => {
    const left = await dieInDoubt();
    const { journal } = nextOf(left);
    const { clock, sims } = left.stage;
    const [sim] = sims;
    expect.assert(sim !== undefined);
    sim.kill();
    const options = { files: sim.files, images: virtualImages(sim), clock, qemu: 'dead' } as const;
    for (const how of [{}, { back: true }])
      expect(
        await clock.run(rejection(recoverOffline(journal, 'g.0', { ...options, ...how }))),
      ).toMatchObject({
        code: 'SAGA_STATE',
      });
    expect(journal.saga('g.0')?.state).toBe('open');
    const row = journal.saga('g');
    expect.assert(row !== undefined);
    await clock.run(decideWithoutLeader(journal, clock, row, 'roll-back'));
    expect((await clock.run(recoverOffline(journal, 'g.0', options))).outcome).toBe('rolledBack');
  });

  it('is let go of by an engine that ends, and not rolled back', async () => {
    const stage = new Stage([{}, {}]);
    const process = stage.process(undefined);
    const { answered, hosts } = leader();
    const group = await stage.clock.run(
      process.engine.group(stage.requests(process.guests), { id: 'g', hosts }),
    );
    group.result.catch(() => undefined);
    await stage.clock.run(answered);
    await stage.clock.run(process.engine.close());
    expect(process.journal.sagas().map(({ state }) => state)).toEqual(['open', 'open', 'open']);
  });
});

describe('a part in doubt whose leading host is lost for good', () => {
  it.each([
    ['commit', 'committed', 'new'],
    ['roll-back', 'rolledBack', 'old'],
  ] as const)('is ended by a person who says %s, which is in the journal before', async (word, end, side) => {
    const left = await dieInDoubt();
    const { engine, journal, guests } = nextOf(left);
    const { clock } = left.stage;
    const group = await clock.run(engine.resumeGroup('g', { guests, leaderLost: word }));
    expect((await clock.run(group.result)).outcome).toBe(end);
    expect(journal.sagas().map(({ state }) => state)).toEqual([end, end, end]);
    expect(sidesOf(left)).toEqual([side, side]);
    for (const { world } of left.stage.sims) expect(world.running).toBe(true);
    const records = journal.records('g');
    expect(records.filter(({ step }) => step === 'leaderLost')).toMatchObject([{ kind: 'decision' }]);
    expect(recordsInWords(records).join()).toContain(
      `a person has said that the leading host is lost for good, and decided: ${word.replace('-', ' ')}`,
    );
    // The same word again is the same; the other one comes too late.
    const again = await clock.run(engine.resumeGroup('g', { guests, leaderLost: word }));
    expect((await clock.run(again.result)).outcome).toBe(end);
    const other = word === 'commit' ? 'roll-back' : 'commit';
    const late = await clock.run(rejection(engine.resumeGroup('g', { guests, leaderLost: other })));
    expect(late).toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringContaining('nothing can change that'),
    });
  });

  it('is ended also beside an agent of a later process that asks the lost leader, which hears of it', async () => {
    const left = await dieInDoubt();
    const { clock } = left.stage;
    const { engine, journal, guests } = nextOf(left, () => new Promise(() => undefined));
    const group = await clock.run(engine.resumeGroup('g', { guests }));
    await clock.run(new Promise<void>(resolve => clock.after(5_000, resolve)));
    expect(journal.saga('g')?.state).toBe('open');
    const row = journal.saga('g');
    expect.assert(row !== undefined);
    await clock.run(decideWithoutLeader(journal, clock, row, 'commit'));
    expect((await clock.run(group.result)).outcome).toBe('committed');
    expect(sidesOf(left)).toEqual(['new', 'new']);
  });

  it('is left alone while the process lives in which its members have met', async () => {
    const stage = new Stage([{}, {}]);
    const process = stage.process(undefined);
    const { answered, hosts } = leader();
    const asked = process.engine.group(stage.requests(process.guests), { id: 'g', hosts });
    const group = await stage.clock.run(asked);
    group.result.catch(() => undefined);
    await stage.clock.run(answered);
    const error = await stage.clock.run(rejection(process.engine.resumeGroup('g', { leaderLost: 'commit' })));
    expect(error).toMatchObject({ code: 'VM_BUSY', message: expect.stringContaining('SIGTERM') });
    expect(process.journal.saga('g')?.state).toBe('open');
    await stage.clock.run(process.engine.close());
  });

  it('is refused another word than these two', async () => {
    const left = await dieInDoubt();
    const { engine, guests, journal } = nextOf(left);
    const leaderLost = 'forward' as string as 'commit';
    const error = await left.stage.clock.run(rejection(engine.resumeGroup('g', { guests, leaderLost })));
    expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(journal.saga('g')?.state).toBe('open');
  });
});

describe('a group that is led here', () => {
  it('is decided by its own journal, whatever is said of a leader', async () => {
    const stage = new Stage([{}, {}]);
    const { engine, guests } = stage.process(undefined);
    const group = await stage.clock.run(engine.group(stage.requests(guests), { id: 'g' }));
    expect((await stage.clock.run(group.result)).outcome).toBe('committed');
    const error = await stage.clock.run(
      rejection(engine.resumeGroup('g', { guests, leaderLost: 'roll-back' })),
    );
    expect(error).toMatchObject({
      code: 'SAGA_STATE',
      message: expect.stringContaining('is led by this host'),
    });
  });
});

describe('a part whose members have not all answered', () => {
  it('is rolled back by a later process without asking', async () => {
    const stage = new Stage([{}, {}]);
    const bases = stage.sims.map(sim => sim.world.fronts().map(({ path }) => path));
    const process = stage.process(undefined);
    const voted = Promise.withResolvers<void>();
    const { hosts } = leader({
      taken: () => {
        voted.resolve();
        return new Promise(() => undefined);
      },
    });
    process.engine.group(stage.requests(process.guests), { id: 'g', hosts }).catch(() => undefined);
    await stage.clock.run(voted.promise);
    process.die();
    const left = { stage, bases, left: process.left() };
    const said = nextOf(left);
    const { guests: their } = said;
    const late = rejection(said.engine.resumeGroup('g', { guests: their, leaderLost: 'commit' }));
    expect(await stage.clock.run(late)).toMatchObject({ code: 'SAGA_STATE' });
    said.die();
    const { engine, guests } = nextOf(left, () => expect.unreachable('nothing is to be asked'));
    const group = await stage.clock.run(engine.resumeGroup('g', { guests }));
    expect((await stage.clock.run(group.result)).outcome).toBe('rolledBack');
    expect(sidesOf(left)).toEqual(['old', 'old']);
  });
});
