/** A fleet as the page is told of it. Types only; also for browsers. */

export interface FleetSaga {
  readonly id: string;
  readonly vm: string;
  readonly operation: string;
  /** `open` or `needsRecovery`: those that have ended are in the journal of their host. */
  readonly state: string;
}

export interface FleetHost {
  readonly host: string;
  /** Where its agent listens. */
  readonly agent: string;
  /** Null where the agent does not answer. */
  readonly status: {
    readonly guests: readonly { readonly vm: string }[];
    readonly sagas: readonly FleetSaga[];
  } | null;
}

/** What does not go on at its Restate, as `blocksaga fleet hosts` tells it. */
export interface FleetStuck {
  readonly id: string;
  /** `guest/web/copy`. */
  readonly target: string;
  readonly status: string;
  readonly why: string | null;
}

/** What a fleet answers. */
export interface FleetAnswer {
  readonly hosts: readonly FleetHost[];
  /** Null where that is not known. */
  readonly stuck: readonly FleetStuck[] | null;
}

export interface FleetTold {
  /** Null before the first answer; the last one where the fleet has fallen silent. */
  readonly hosts: readonly FleetHost[] | null;
  readonly stuck: readonly FleetStuck[] | null;
  /** Why it is not known what the hosts are doing now. */
  readonly trouble: string | null;
}
