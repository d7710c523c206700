/**
 * The groups of one engine: checks a list of requests, plans all before any is begun, lets the members meet, and gives a group
 * whose id is known again, whatever has become of it. Which way a member goes is decided in its saga.
 */
import { BlocksagaError, definedOnly } from '../errors.ts';
import type { Journal, Lease, SagaRow } from '../journal/journal.ts';
import { sagaIsUnknown } from '../journal/refusals.ts';
import { type Clock, sleep } from '../qmp/clock.ts';
import { type Guest, splitGuest } from './connection/guest.ts';
import { expectSwitches, expectWord } from './connection/option-words.ts';
import { type AskLeader, type FollowedPart, partIsInDoubt } from './durable/group-across.ts';
import { decisionOf, expectGroup, hasCommitted, isSameGroup, membersIn } from './durable/group-register.ts';
import { decideWithoutLeader, LEADER_LOST_WORDS } from './durable/leader-lost.ts';
import { expectNewestOrAccept } from './durable/newest-journal.ts';
import { type Group, groupOf, type ResumeGroupOptions } from './group.ts';
import { GroupBeginning, type Joining } from './group-beginning.ts';
import type { Hosts } from './group-hosts.ts';
import { type GroupRequest, type MemberPlan, memberOf } from './group-member.ts';
import { AllPlanned, type PlannedMember } from './group-planned.ts';
import {
  inMember,
  type MemberRequest,
  ofMember,
  otherGroup,
  refuseMixed,
  refuseTwice,
  type WithId,
  withIds,
} from './group-request.ts';
import type { Renewed } from './lease-renewal.ts';
import type { ResumeOptions } from './resume.ts';
import type { Saga } from './running/saga-types.ts';
import { type Ending, unlessEnded } from './unless-ended.ts';

/** Under which id a group is planned that is not begun. */
const PLANNED = 'plan';
const LOOK_MS = 50;
/** Members are begun right behind their group; a process that has not by then is stopped, or hangs. */
const BEGINNING_MS = 30_000;

type HowResumed = Pick<ResumeOptions, 'force' | 'acceptRestored'>;
type HowGroupResumed = HowResumed & Pick<ResumeGroupOptions, 'leaderLost'>;

interface GroupsParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly askLeader?: AskLeader;
  /** What one member would do. */
  plan(group: string, asked: WithId, planned: (member: PlannedMember) => Promise<void>): Promise<MemberPlan>;
  /** How one member is begun. */
  start(group: string, asked: MemberRequest, joining: Joining): Promise<Saga>;
  /** The saga of a row, resumed where no process runs it. */
  known(row: SagaRow, guest: Guest): Promise<Saga>;
  resume(id: string, options: ResumeOptions): Promise<Saga>;
  /** What ends the waiting for a process that has not begun all of a group. */
  endings(group: string): readonly Ending[];
  /** Called when the leases of groups that run here have changed. */
  changed(): void;
}

export class Groups {
  readonly #parts: GroupsParts;
  readonly #running = new Map<
    string,
    { readonly requests: readonly GroupRequest[]; readonly group: Promise<Group> }
  >();
  readonly #leases = new Set<Lease>();

  constructor(parts: GroupsParts) {
    this.#parts = parts;
  }

  /** The groups that are under way here, as far as their leases go: the pauses are their members'. */
  get renewed(): readonly Renewed[] {
    return [...this.#leases].map(lease => ({ lease, holdsGuest: false, progress: {} }));
  }

  /** The same id twice has one effect. Throws refusals, with nothing touched on any guest. */
  async begin(id: string, asked: readonly MemberRequest[], hosts?: Hosts): Promise<Group> {
    const all = checked(id, asked);
    const members = all.map(({ member }) => member);
    const requests = all.map(({ request }) => request);
    const running = this.#running.get(id);
    if (running !== undefined) {
      if (!isSameGroup(running.requests, requests)) throw otherGroup(id);
      return running.group;
    }
    const row = this.#parts.journal.saga(id);
    if (row !== undefined) return this.#again(row, members, requests);
    const group = new GroupBeginning(
      { ...this.#parts, runs: (lease, isOver) => this.#runs(lease, isOver) },
      { id, members, requests, hosts },
    ).begin();
    this.#running.set(id, { requests, group });
    group.then(
      ({ result }) => result.catch(() => undefined).finally(() => this.#running.delete(id)),
      () => this.#running.delete(id),
    );
    try {
      return await group;
    } catch (error) {
      // Another process has begun the same meanwhile, and is in the way of this one.
      const now =
        error instanceof BlocksagaError && error.code === 'ID_CONFLICT'
          ? this.#parts.journal.saga(id)
          : undefined;
      if (now === undefined) throw error;
      return this.#again(now, members, requests);
    }
  }

  /** What `begin` would do; QEMU sees only queries. Throws what it would throw. */
  async plan(asked: readonly MemberRequest[]): Promise<readonly MemberPlan[]> {
    const members = checked(PLANNED, asked);
    const planned = new AllPlanned(members.length, async () => undefined);
    const plans = members.map(async ({ member }, at) => {
      try {
        return await this.#parts.plan(PLANNED, member, each => planned.planned(at, each));
      } catch (error) {
        const why = inMember(at, error);
        planned.refuse(why);
        throw why;
      }
    });
    await Promise.allSettled(plans);
    return Promise.all(plans);
  }

  /** Brings every member to its end; a decision that no process can take any more is taken first: to roll back. */
  async resume(id: string, { guests = [], ...how }: ResumeGroupOptions): Promise<Group> {
    expectSwitches(how, 'force', 'acceptRestored');
    expectWord('leaderLost', LEADER_LOST_WORDS, how.leaderLost);
    const running = this.#running.get(id);
    if (running !== undefined && how.leaderLost === undefined) return running.group;
    const row = this.#parts.journal.saga(id);
    if (row === undefined) throw sagaIsUnknown(id);
    expectGroup(row);
    return this.#known(row, at => guestIn(guests[at] ?? {}), how);
  }

  #runs(lease: Lease, isOver: boolean): void {
    if (isOver) this.#leases.delete(lease);
    else this.#leases.add(lease);
    this.#parts.changed();
  }

  #again(row: SagaRow, members: readonly WithId[], requests: readonly GroupRequest[]): Promise<Group> {
    if (!isSameGroup(row, requests)) throw otherGroup(row.id);
    return this.#known(row, at => guestIn(members[at] ?? {}), {});
  }

  async #known(
    row: SagaRow,
    guest: (at: number) => Partial<Guest>,
    { leaderLost, ...how }: HowGroupResumed,
  ): Promise<Group> {
    const { journal, clock } = this.#parts;
    const { force = false } = how;
    if (row.state === 'open' || row.state === 'needsRecovery') expectNewestOrAccept(journal, row, how);
    if (leaderLost !== undefined) await decideWithoutLeader(journal, clock, row, leaderLost);
    const ids = membersIn(row);
    const endings = this.#parts.endings(row.id);
    const deciding = () => decisionOf(journal, clock, row.id, force).catch(unlessBusy);
    const known = await unlessEnded(endings, deciding);
    const isOver = known !== undefined;
    // Its members wait for the same word, where their QEMUs live.
    const told = typeof known === 'object' ? this.#ask(known, force) : Promise.resolve(true);
    if (!isOver) await unlessEnded(endings, () => this.#whenBegun(row.id, ids, endings));
    const members = await Promise.all(
      ids.flatMap((id, at) => {
        const member = journal.saga(id);
        return member === undefined ? [] : [this.#member(member, guest(at), how)];
      }),
    );
    return groupOf(row.id, members, told);
  }

  /** Of a part in doubt: asked beside all else, since who waits for it may be dead. Throws SAGA_STATE where it cannot be asked. */
  #ask(part: FollowedPart, force: boolean): Promise<boolean> {
    const { journal, clock, askLeader } = this.#parts;
    if (askLeader === undefined) throw partIsInDoubt(part);
    const told = hasCommitted(journal, clock, part.group, force, askLeader);
    told.catch(() => undefined); // for those who wait for the group's result
    return told;
  }

  /** Also one that needs recovery is brought to its end. */
  #member(row: SagaRow, guest: Partial<Guest>, how: HowResumed): Promise<Saga> {
    const { known, resume } = this.#parts;
    if (row.state === 'needsRecovery' || (row.state === 'open' && (how.force || how.acceptRestored)))
      return resume(row.id, { ...guest, ...how });
    return known(row, { qmp: row.address, ...guest });
  }

  /** In the process that has just begun the group. */
  async #whenBegun(group: string, ids: readonly string[], endings: readonly Ending[]): Promise<void> {
    const { journal, clock } = this.#parts;
    const areBegun = () => ids.every(id => journal.saga(id) !== undefined);
    for (let waitedMs = 0; waitedMs < BEGINNING_MS; waitedMs += LOOK_MS) {
      if (endings.some(({ signal }) => signal.aborted)) return;
      if (areBegun() || journal.saga(group)?.state !== 'open') return;
      await sleep(clock, LOOK_MS);
    }
  }
}

function unlessBusy(error: unknown): undefined {
  if (error instanceof BlocksagaError && error.code === 'VM_BUSY') return undefined;
  throw error;
}

/** Of what may be a whole request. */
function guestIn({ qmp, files, agent }: Partial<Guest>): Partial<Guest> {
  return definedOnly({ qmp, files, agent });
}

/** Throws REQUEST_INVALID for what is plain before any guest is spoken to. */
function checked(group: string, asked: readonly MemberRequest[]) {
  const members = withIds(group, asked).map((member, at) => ({
    member,
    request: ofMember(at, () => memberOf(group).check(splitGuest(member).request)),
  }));
  refuseTwice(members.map(({ member }) => member));
  refuseMixed(members.map(({ request }) => request));
  return members;
}
