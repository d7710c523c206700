/**
 * How two engines that have guests of one group are joined: the one that leads has a junction for each other host, and the engine
 * of that host follows by one of its own, over whatever lies between. All members of a host come to the leader as one. Says who waits
 * for what, and nothing of wires.
 */
import { BlocksagaError } from '../errors.ts';
import type { Barrier } from '../steps/step/barrier.ts';
import type { AcrossHosts } from './durable/group-across.ts';
import type { AllPlanned } from './group-planned.ts';
import type { OfHost, Rendezvous } from './rendezvous.ts';

/** One host's part, in the order of its methods; `leave` at any time before it has confirmed. */
export interface Junction extends Omit<Barrier, OfHost> {
  /** Its guests are planned. Resolves when those of all hosts are, and the leader's row is durable, with a new secret of the two. */
  planned(): Promise<string>;
  /** Its guests are not begun, and no others are. */
  refuse(why: unknown): void;
}

/** Of which hosts a group has guests besides this one, and which of them decides. */
export type Hosts =
  | {
      readonly role: 'leads';
      readonly hosts: readonly string[];
      /** Given once, when the group is about to be begun here. */
      readonly lead: (junctions: ReadonlyMap<string, Junction>) => void;
    }
  | {
      readonly role: 'follows';
      /** This one, as the leader knows it. */
      readonly host: string;
      readonly leader: string;
      readonly agent: string;
      readonly junction: Junction;
    };

/** The parts of other hosts at their leader, behind its own members. */
export class LedParts {
  readonly junctions: ReadonlyMap<string, Junction>;
  readonly #attempts = new Map<string, string>();

  constructor(
    hosts: readonly string[],
    members: number,
    { planned, meeting, ids }: { planned: AllPlanned; meeting: Rendezvous; ids: () => string },
  ) {
    this.junctions = new Map(
      hosts.map((host, at) => {
        const index = members + at;
        const { looked, hasLooked, resumed, sawPaused, ...barrier } = meeting.member(index);
        const junction: Junction = {
          ...barrier,
          planned: async () => {
            const attempt = ids();
            this.#attempts.set(host, attempt);
            await planned.planned(index, null);
            return attempt;
          },
          refuse: why => planned.refuse(why),
          leave: why => {
            planned.refuse(hostIsGone(host, why));
            barrier.leave(`host ${host}: ${why}`);
          },
        };
        return [host, junction];
      }),
    );
  }

  /** For the row of the group, when all are planned. */
  get across(): AcrossHosts | undefined {
    if (this.junctions.size === 0) return undefined;
    return { parts: [...this.#attempts].map(([host, attempt]) => ({ host, attempt })) };
  }
}

/** GROUP, worth another try: nothing was begun. */
export function hostIsGone(host: string, why: string): BlocksagaError {
  return new BlocksagaError('GROUP', `nothing was begun, as host ${host} is not there: ${why}`, {
    retryable: true,
  });
}
