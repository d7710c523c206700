/**
 * What a journal says of a group that has guests on several hosts. One host leads it: its journal alone has the decision. The
 * journals of the others have their own parts, with whom to ask; a part whose members have all answered `go` is in doubt until it
 * is told. Only reads rows and records, and decides nothing.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Journal, SagaRow } from '../../journal/journal.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepName } from '../../steps/all-steps.ts';
import { UNDO } from '../../steps/stages.ts';

/** One host's part of a group, as the leader has let it in: `attempt` is a secret of the two, and new each time. */
export interface PartOfGroup {
  readonly group: string;
  /** The host whose guests they are. */
  readonly host: string;
  readonly attempt: string;
}

/** The same in the journal of that host, with who leads. */
export interface FollowedPart extends PartOfGroup {
  /** The leading host, and where its agent listens. */
  readonly leader: string;
  readonly agent: string;
}

/** What the leader has decided; `undecided` where it may come to either, or is not known to it. */
export type Decided = 'committed' | 'rolledBack' | 'undecided';

/** Asks the leader until it tells. Rejects with CLOSED where this process ends before. */
export type AskLeader = (part: FollowedPart) => Promise<Exclude<Decided, 'undecided'>>;

/** What the row of a group says of other hosts besides its own members. */
export type AcrossHosts =
  | { readonly parts: readonly Pick<PartOfGroup, 'host' | 'attempt'>[] }
  | { readonly follows: Omit<FollowedPart, 'group'> };

/** Undefined for a group that is led here. */
export function followedIn({ id, plan }: Pick<SagaRow, 'id' | 'plan'>): FollowedPart | undefined {
  const { follows } = plan as { readonly follows?: Json };
  const [host, attempt, leader, agent] = texts(follows, ['host', 'attempt', 'leader', 'agent']);
  if (host === undefined || attempt === undefined || leader === undefined || agent === undefined)
    return undefined;
  return { group: id, host, attempt, leader, agent };
}

/** The parts of a group that is led here, of other hosts. */
export function partsIn({ id, plan }: Pick<SagaRow, 'id' | 'plan'>): readonly PartOfGroup[] {
  const { parts } = plan as { readonly parts?: Json };
  if (!Array.isArray(parts)) return [];
  return parts.flatMap(part => {
    const [host, attempt] = texts(part, ['host', 'attempt']);
    return host === undefined || attempt === undefined ? [] : [{ group: id, host, attempt }];
  });
}

function texts(value: Json | undefined, fields: readonly string[]): readonly (string | undefined)[] {
  const known = typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : new Map();
  return fields.map(field => {
    const text: unknown = known.get(field);
    return typeof text === 'string' ? text : undefined;
  });
}

const ANSWER: StepName = 'decideWithGroup';

/**
 * Whether the leader may have been told that these members were paused until `go`: each has written that it answers, and none has
 * begun to roll back. Where it cannot have been, the group cannot have committed.
 */
export function mayHaveAnswered(
  journal: Pick<Journal, 'saga' | 'records'>,
  members: readonly string[],
): boolean {
  return members.every(id => {
    const row = journal.saga(id);
    if (row === undefined || row.state === 'rolledBack') return false;
    const records = journal.records(id);
    const hasAnswered = records.some(({ kind, step }) => kind === 'intent' && step === ANSWER);
    return hasAnswered && !records.some(({ step }) => step.startsWith(UNDO));
  });
}

/** What a part in doubt waits for, and what can be done about it. */
export function waitsForLeader({ group, leader, agent }: FollowedPart): string {
  return `group ${group} waits for the decision that host ${leader} has in its journal: its guests here run, on their overlays or beside their copies, and both sides are kept. The agent of this host asks the one of ${leader} (${agent}) until it is told: see to it that both run. Where ${leader} is lost with its journal for good, a person decides: "blocksaga resume ${group} --leader-lost commit" or "roll-back"; its help says what that promises`;
}

/** SAGA_STATE: neither way can be gone before the leader has told. */
export function partIsInDoubt(part: FollowedPart): BlocksagaError {
  return new BlocksagaError('SAGA_STATE', waitsForLeader(part), { saga: part.group });
}
