/** One process of the orchestrator in a run: how it reaches the guest, and how it leaves its saga. Types only. */
import type { SagaResult } from '../../engine/running/result.ts';
import type { ErrorRecord } from '../../errors.ts';
import type { Mortal } from './mortal.ts';

export interface End {
  readonly refusal?: ErrorRecord;
  readonly result?: SagaResult;
}

/** The guest as a living orchestrator reaches it. */
export type Reached = Pick<Mortal, 'files' | 'agent'> & { readonly qmp: Mortal['connect'] };
