/** What a row of the table of excuses holds. The rows are in `excuses-by-fault.ts`, `excuses-without-qemu.ts` and `excuses-by-world.ts`. */
import type { Account, Struck } from '../account/account.ts';
import type { EndJudged } from './excuse-conditions.ts';

interface Row {
  /** The law's name in `laws.ts`. */
  readonly law: string;
  readonly reason: string;
  /** Only so many milliseconds more than the law permits; all when absent. */
  readonly allowsMs?: number;
}

/** For what a fault that has struck brings about. */
export interface ByFault extends Row {
  /** The kind of the fault; a third party's with its command: `otherClient cont`. */
  readonly fault: string;
  readonly only?: (struck: Struck, account: Account, end: EndJudged) => boolean;
}

/** For what the scenario has brought about without any fault. */
export interface ByWorld extends Row {
  readonly world: string;
  readonly only: (account: Account, end: EndJudged) => boolean;
}

export type Excuse = ByFault | ByWorld;

/** What a row is called: in tests, and by its kept run. */
export function keyOf(excuse: Excuse): string {
  return `${excuse.law}: ${'fault' in excuse ? excuse.fault : excuse.world}`;
}
