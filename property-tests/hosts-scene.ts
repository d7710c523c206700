/**
 * Groups with guests on two hosts as they are drawn: each host with an engine and a journal of its own, and a wire between them that
 * loses, doubles and delays. Either process, or both, dies at some moment; the next one takes over while the other host goes on. Says
 * what the world was like, never what the engines say of it.
 */
import fc from 'fast-check';
import { askLeaderBy, FollowedJunction } from '../src/agent/junction-wire.ts';
import { LedGroups } from '../src/agent/led-groups.ts';
import type { FollowedPart } from '../src/engine/durable/group-across.ts';
import { hasCommitted } from '../src/engine/durable/group-register.ts';
import type { Group } from '../src/engine/group.ts';
import { recoverOffline } from '../src/engine/recovery/recover-offline.ts';
import { virtualImages } from '../src/sim/virtual-images.ts';
import { Stage } from '../test/engine/group-stage.ts';
import { FakeNet, type WireFault } from './fake-net.ts';
import { type GroupScene, leftoversIn, type Played, requestsOf, scenes, sidesOf } from './group-scene.ts';

export interface HostsScene extends GroupScene {
  /** Which guests are on the host that follows; all others are on the one that leads. */
  readonly following: readonly number[];
  /** At which moment the process of the following host dies; `diesAt` is the leader's. */
  readonly followerDiesAt: number | null;
  readonly wire: readonly WireFault[];
}

const wireFault: fc.Arbitrary<WireFault> = fc.record({
  nth: fc.integer({ min: 1, max: 6 }),
  kind: fc.constantFrom('loseRequest', 'loseAnswer', 'twice', 'late', 'cut'),
  ms: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 31, max: 12_000 })),
});

export const hostsScenes: fc.Arbitrary<HostsScene> = scenes.chain(scene =>
  fc
    .record({
      following: fc.subarray([...scene.guests.keys()].slice(1), { minLength: 1 }),
      followerDiesAt: fc.option(fc.integer({ min: 12, max: 240 }), { freq: 2 }),
      wire: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 3, arbitrary: fc.array(wireFault, { minLength: 1, maxLength: 3 }) },
      ),
    })
    .map(more => ({ ...scene, ...more })),
);

const HOST = 'h2';

export function playHosts(scene: HostsScene): Promise<Played> {
  const stage = new Stage(scene.guests);
  return stage.clock.run(play(scene, stage));
}

async function play(scene: HostsScene, stage: Stage): Promise<Played> {
  const { clock, sims } = stage;
  const bases = sims.map(sim => sim.world.fronts().map(({ path }) => path));
  const net = new FakeNet(clock, scene.wire);
  const members = [...scene.guests.keys()];
  const leading = new Life(
    stage,
    scene,
    members.filter(at => !scene.following.includes(at)),
    scene.diesAt,
  );
  const following = new Life(stage, scene, scene.following, scene.followerDiesAt);
  const leader = () => leading.now && { ...leading.now, led: leading.led };
  const wireFrom = (life: Life) => (part: Pick<FollowedPart, 'group' | 'host'>) => {
    if (life.now === undefined) throw new Error('a process that asks lives');
    return net.wire(life.now, leader, part);
  };
  const asked = { clock, stop: new AbortController().signal };
  following.askLeader = part =>
    askLeaderBy(wireFrom(following), () => ({ ...asked, clock: following.clock }))(part);
  const group = { group: 'g', host: HOST };
  const first = [
    leading.first(async (engine, requests) => {
      const { led } = leading;
      const hosts = { role: 'leads', hosts: [HOST], lead: led.lead.bind(led, 'g') } as const;
      try {
        const begun = await engine.group(requests, { id: 'g', hosts });
        const over = () => led.isOver('g');
        begun.result.then(over, over);
        return begun;
      } catch (error) {
        led.isOver('g');
        throw error;
      }
    }),
    following.first((engine, requests) => {
      const junction = new FollowedJunction(wireFrom(following)(group), HOST, {
        ...asked,
        clock: following.clock,
        copies: scene.isCloned ?? false,
      });
      const hosts = {
        role: 'follows',
        host: HOST,
        leader: 'h1',
        agent: 'http://127.0.0.1:1',
        junction,
      } as const;
      return engine.group(requests, { id: 'g', hosts });
    }),
  ];
  let wasAborted = false;
  // Moments of both: a process dies at one of the other, too.
  stage.onMoment = now => {
    for (const life of [leading, following]) {
      if (now >= (life.diesAt ?? Number.POSITIVE_INFINITY)) life.die();
      const isAsked = life.members.includes(scene.order[0] ?? 0) && life.group !== undefined;
      if (wasAborted || !isAsked || now < (scene.abortAt ?? Number.POSITIVE_INFINITY)) continue;
      wasAborted = true;
      life.group?.members[0]?.abort().catch(() => undefined); // it may come too late
    }
  };
  const tolds: (string | null)[] = [];
  const lives = [leading, following].map(async (life, at) => {
    tolds[at] = (await first[at]) ?? null;
    if (life.now?.isAlive()) await Promise.all(first);
    await life.second();
  });
  await Promise.all(lives);
  const told = tolds.filter(each => each !== null && each !== 'needsRecovery');
  const { journal } = leading;
  const named = [leading, following].flatMap(life => leftoversIn(life.journal));
  const boots = new Map([...leading.boots, ...following.boots]);
  return {
    ...{ scene: { ...scene, diesAt: scene.diesAt ?? scene.followerDiesAt }, stage, bases },
    told: new Set(told).size > 1 ? told.join(' and ') : (told[0] ?? null),
    pauses: stage.pauses.filter(({ atMs }) => atMs <= Math.min(leading.endedMs, following.endedMs)),
    decided: journal.saga('g')?.state,
    ...{ boots, sides: sidesOf({ scene, stage, bases, boots, named }) },
    named,
    open: [leading, following].flatMap(({ journal: own }) =>
      [...own.sagas({ state: 'open' }), ...own.sagas({ state: 'needsRecovery' })].map(({ id }) => id),
    ),
  };
}

type Process = ReturnType<Stage['process']>;

/** The processes of one host. */
class Life {
  readonly #stage: Stage;
  readonly #scene: GroupScene;
  readonly members: readonly number[];
  readonly boots = new Map<number, readonly string[]>();
  now: Process | undefined;
  led: LedGroups;
  group: Group | undefined;
  askLeader: ((part: FollowedPart) => Promise<'committed' | 'rolledBack'>) | undefined;
  /** When its first process has ended. */
  endedMs = Number.POSITIVE_INFINITY;
  /** Of its first process. */
  readonly diesAt: number | null;
  #first: Process | undefined;

  constructor(stage: Stage, scene: GroupScene, members: readonly number[], diesAt: number | null) {
    this.#stage = stage;
    this.#scene = scene;
    this.members = members;
    this.diesAt = diesAt;
    this.led = new LedGroups({ saga: () => undefined }, stage.clock);
  }

  get clock() {
    return this.now?.clock ?? this.#stage.clock;
  }

  get journal() {
    if (this.now === undefined) throw new Error('it was begun');
    return this.now.journal;
  }

  async first(
    begin: (
      engine: Process['engine'],
      requests: readonly ReturnType<typeof requestsOf>[number][],
    ) => Promise<Group>,
  ): Promise<string | null> {
    const process = this.#process(undefined);
    this.#first = process;
    const all = requestsOf(this.#stage, process.guests, this.#scene);
    const requests = this.members.flatMap(at => {
      const request = all[at];
      return request === undefined ? [] : [{ ...request, id: `g.${at}` }];
    });
    const run = async () => {
      this.group = await begin(process.engine, requests);
      return (await this.group.result).outcome;
    };
    return Promise.race([run().catch(() => null), process.died.then(() => null)]);
  }

  /** Its first process, where that has not ended. */
  die(): void {
    this.#first?.die();
  }

  /** Brings all to its end, as the agent does at its start. */
  async second(): Promise<void> {
    const { clock, sims } = this.#stage;
    const before = this.now;
    if (before?.left() === undefined) before?.die();
    this.endedMs = clock.now();
    for (const at of this.members) sims[at]?.endFaults();
    const killed = this.members.filter(at => this.#scene.killed.includes(at));
    for (const at of killed) sims[at]?.kill();
    const { journal, engine, guests } = this.#process(before?.left());
    if (journal.saga('g') !== undefined && this.members.some(at => !sims[at]?.world.alive))
      await hasCommitted(journal, this.clock, 'g', false, this.askLeader);
    const order = this.#scene.order.filter(at => this.members.includes(at));
    // Twice: a member may wait for what another one's QEMU, which is only now known to be dead, held up.
    for (const at of [...order, ...order]) {
      const sim = sims[at];
      const row = journal.saga(`g.${at}`);
      if (sim === undefined || row === undefined) continue;
      if (!sim.world.alive) {
        const options = { files: sim.files, images: virtualImages(sim), clock, qemu: 'dead' } as const;
        const { boot, disks } = await recoverOffline(journal, row.id, options);
        this.boots.set(at, boot?.map(({ file }) => file) ?? disks.map(({ after }) => after?.file ?? ''));
        continue;
      }
      await (await engine.resume(row.id, guests[at])).ended;
    }
    const asked = this.members.map(at => guests[at] ?? {});
    if (journal.saga('g') !== undefined) await (await engine.resumeGroup('g', { guests: asked })).result;
  }

  #process(before: ReturnType<Process['left']>): Process {
    const askLeader = (part: FollowedPart) => {
      if (this.askLeader === undefined) throw new Error('it leads');
      return this.askLeader(part);
    };
    const process = this.#stage.process(before, undefined, { askLeader });
    this.now = process;
    this.led = new LedGroups(process.journal, process.clock);
    return process;
  }
}
