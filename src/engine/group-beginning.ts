/**
 * A group that is begun in this process: its members are planned, let in, and meet here until all have ended, those of other hosts
 * with them. Holds the lease of the group's row meanwhile. What of it is known in a later process is not its business.
 */
import { BlocksagaError } from '../errors.ts';
import { useLease } from '../journal/in-use.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Barrier } from '../steps/step/barrier.ts';
import type { AcrossHosts } from './durable/group-across.ts';
import { beginGroup, commitGroup, endGroup } from './durable/group-register.ts';
import { letGo } from './durable/let-go.ts';
import { type Group, groupOf } from './group.ts';
import { type Hosts, LedParts } from './group-hosts.ts';
import type { GroupRequest } from './group-member.ts';
import { AllPlanned, type PlannedMember } from './group-planned.ts';
import { idIsTaken, inMember, type MemberRequest, refuseKnown, type WithId } from './group-request.ts';
import { Rendezvous } from './rendezvous.ts';
import type { Saga } from './running/saga-types.ts';

/** Where a member meets the others of its group, in front of its first effect and from then on. */
export interface Joining {
  readonly barrier: Barrier;
  planned(member: PlannedMember): Promise<void>;
}

interface BeginningParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly ids: () => string;
  /** How one member is begun. */
  start(group: string, asked: MemberRequest, joining: Joining): Promise<Saga>;
  /** Called with its lease when the group runs here, and when it does no more. */
  runs(lease: Lease, isOver: boolean): void;
}

interface Asked {
  readonly id: string;
  readonly members: readonly WithId[];
  readonly requests: readonly GroupRequest[];
  readonly hosts: Hosts | undefined;
}

export class GroupBeginning {
  readonly #parts: BeginningParts;
  readonly #asked: Asked;
  #lease: Lease | undefined;
  /** Its leader may have been told that all here were paused until `go`, and has not told what it decided. */
  #isInDoubt = false;

  constructor(parts: BeginningParts, asked: Asked) {
    this.#parts = parts;
    this.#asked = asked;
  }

  /** Throws refusals, with nothing touched on any guest. */
  async begin(): Promise<Group> {
    const { clock, ids } = this.#parts;
    const { id, members, hosts } = this.#asked;
    const others = hosts?.role === 'leads' ? hosts.hosts : [];
    const size = members.length + others.length;
    const junction = hosts?.role === 'follows' ? hosts.junction : undefined;
    const planned = new AllPlanned(size, () => this.#beginRow(led));
    const meeting = new Rendezvous(
      { here: members.length, elsewhere: others.length },
      clock,
      () => this.#decide(),
      junction,
    );
    const led = new LedParts(others, members.length, { planned, meeting, ids });
    if (hosts?.role === 'leads') hosts.lead(led.junctions);
    const begun = await this.#startAll(planned, meeting);
    const sagas = begun.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
    const group = groupOf(id, sagas, this.#whenEnded(sagas), () => meeting.waitedMs);
    const refused = begun.find(each => each.status === 'rejected');
    if (refused === undefined) return group;
    junction?.refuse(refused.reason);
    await group.result.catch(() => undefined); // what it is refused for tells more
    throw refused.reason;
  }

  #startAll(planned: AllPlanned, meeting: Rendezvous): Promise<readonly PromiseSettledResult<Saga>[]> {
    const { start } = this.#parts;
    const { id, members } = this.#asked;
    const starting = members.map(async (member, at) => {
      let wasPlanned = false;
      try {
        const joining: Joining = {
          barrier: meeting.member(at),
          planned: each => {
            wasPlanned = true;
            return planned.planned(at, each);
          },
        };
        const saga = await start(id, member, joining);
        if (!wasPlanned) throw idIsTaken(saga.id);
        return saga;
      } catch (error) {
        const why = inMember(at, error);
        planned.refuse(why);
        meeting.leave(`a member was refused: ${why instanceof Error ? why.message : String(why)}`);
        throw why;
      }
    });
    return Promise.allSettled(starting);
  }

  /** Durable before any member is begun; a leader's before any part of another host is. */
  async #beginRow(led: LedParts): Promise<void> {
    const { journal, clock, runs } = this.#parts;
    const { id, members, requests, hosts } = this.#asked;
    const ids = members.map(member => member.id);
    refuseKnown(journal, ids);
    let across: AcrossHosts | undefined = led.across;
    if (hosts?.role === 'follows') {
      const { junction, host, leader, agent } = hosts;
      across = { follows: { host, leader, agent, attempt: await junction.planned() } };
    }
    this.#lease = await beginGroup(journal, clock, id, ids, requests, across);
    runs(this.#lease, false);
  }

  async #decide(): Promise<'forward' | 'back'> {
    const { journal } = this.#parts;
    const { hosts } = this.#asked;
    if (this.#lease === undefined) return 'back';
    if (hosts?.role !== 'follows') return commitGroup(journal, this.#lease);
    this.#isInDoubt = true;
    try {
      await hosts.junction.confirmed();
    } catch (error) {
      if (!(error instanceof BlocksagaError) || error.code !== 'GROUP') throw error;
      await endGroup(journal, this.#lease);
      this.#isInDoubt = false;
      return 'back';
    }
    const verdict = await commitGroup(journal, this.#lease);
    this.#isInDoubt = false;
    return verdict;
  }

  /** A group that has not decided by then never will; also where a member is lost to this process. A part in doubt is left to the next. */
  async #whenEnded(members: readonly Saga[]): Promise<void> {
    const lease = this.#lease;
    if (lease === undefined) return;
    const { journal, runs } = this.#parts;
    const endUse = useLease(lease);
    try {
      await Promise.allSettled(members.map(({ ended }) => ended));
      if (this.#isInDoubt) await letGo(journal, lease);
      else await endGroup(journal, lease);
    } finally {
      endUse();
      runs(lease, true);
    }
  }
}
