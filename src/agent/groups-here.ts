/**
 * The groups that an agent has guests of: of this host alone, led here with parts on other hosts, or a part that follows the agent of
 * another host. It reads what is asked and joins the engines; what they do is theirs.
 */
import type { Engine } from '../engine/api.ts';
import type { AskLeader } from '../engine/durable/group-across.ts';
import type { Group } from '../engine/group.ts';
import type { Hosts } from '../engine/group-hosts.ts';
import type { MemberRequest } from '../engine/group-request.ts';
import { BlocksagaError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import { askLeaderBy, FollowedJunction, textIn } from './junction-wire.ts';
import { LedGroups } from './led-groups.ts';
import { type PeerOptions, peerAddress, wireTo } from './peer.ts';

/** Hosts of one group besides the leader. */
const HOSTS_MAX = 63;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

interface HereOptions {
  /** This one. */
  readonly host: string;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly peers: PeerOptions;
  readonly log: (line: object) => void;
}

export class GroupsHere {
  readonly #options: HereOptions;
  readonly #stop = new AbortController();
  readonly led: LedGroups;
  /** Why a leader is asked again, by group; told once for each reason. */
  readonly #waiting = new Map<string, string>();

  constructor(options: HereOptions) {
    this.#options = options;
    this.led = new LedGroups(options.journal, options.clock);
  }

  /** For the engine of this host. */
  readonly askLeader: AskLeader = async part => {
    const ask = askLeaderBy(
      each => wireTo(each, this.#options.peers),
      each => this.#following(each.group),
    );
    try {
      return await ask(part);
    } finally {
      this.#waiting.delete(part.group);
    }
  };

  /** What the last question to the leader has come to, where its decision is waited for. */
  waitsFor(group: string): string | undefined {
    return this.#waiting.get(group);
  }

  /** `{ "members": [...], "with": [HOST, ...] }` leads, `{ ..., "leader": { "host", "agent" } }` follows. */
  async begin(
    engine: Pick<Engine, 'group'>,
    id: string,
    members: readonly MemberRequest[],
    body: object,
  ): Promise<Group> {
    const { with: hosts, leader } = body as { readonly with?: unknown; readonly leader?: unknown };
    if (leader !== undefined) return engine.group(members, { id, hosts: this.#follow(id, leader, members) });
    if (hosts === undefined) return engine.group(members, { id });
    const lead = this.#lead(id, hosts);
    try {
      const group = await engine.group(members, { id, hosts: lead });
      const over = () => this.led.isOver(id);
      group.result.then(over, over);
      return group;
    } catch (error) {
      this.led.isRefused(id, error);
      throw error;
    }
  }

  /** Those that have not answered `go` go back at once; who is in doubt asks on. */
  leave(): void {
    this.led.endAll();
  }

  /** Nothing is asked any more. */
  close(): void {
    this.#stop.abort();
  }

  #lead(id: string, hosts: unknown): Hosts {
    const names = Array.isArray(hosts) ? hosts.filter(name => typeof name === 'string') : [];
    const isGood =
      Array.isArray(hosts) &&
      hosts.length > 0 &&
      hosts.length <= HOSTS_MAX &&
      new Set(names).size === hosts.length &&
      names.every(name => NAME.test(name) && name !== this.#options.host);
    if (!isGood) {
      const why = `"with" is a list of other hosts than ${this.#options.host}, ${HOSTS_MAX} at most, each named once`;
      throw new BlocksagaError('REQUEST_INVALID', why);
    }
    return { role: 'leads', hosts: names, lead: junctions => this.led.lead(id, junctions) };
  }

  #follow(group: string, leader: unknown, members: readonly MemberRequest[]): Hosts {
    const { host } = this.#options;
    const [name, agent] = [textIn(leader, 'host'), peerAddress(textIn(leader, 'agent'))];
    if (name === undefined || !NAME.test(name) || name === host)
      throw new BlocksagaError(
        'REQUEST_INVALID',
        '"leader" is { "host", "agent" }: another host and its address',
      );
    const wire = wireTo({ agent, group, host }, this.#options.peers);
    const copies = members.some(member => 'finish' in member);
    const junction = new FollowedJunction(wire, host, { ...this.#following(group), copies });
    return { role: 'follows', host, leader: name, agent, junction };
  }

  #following(group: string) {
    const { clock, log } = this.#options;
    return {
      clock,
      stop: this.#stop.signal,
      waits: (why: string) => {
        if (this.#waiting.get(group) === why) return;
        this.#waiting.set(group, why);
        log({ group, waits: why });
      },
    };
  }
}
