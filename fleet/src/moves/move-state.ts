/**
 * What a move keeps in the state of its workflow: how it stands, and each guest's row under a key of its own, so that a change writes that
 * guest alone, however many there are.
 */
import type * as restate from '@restatedev/restate-sdk';
import type { GuestReport, MoveReport } from './report.ts';

type Standing = Omit<MoveReport, 'guests'>;

const STANDING = 'standing';
const ROW = 'guest.';
/** Rows come back in the order of their keys. */
const DIGITS = 6;

const keyOf = (at: number) => `${ROW}${String(at).padStart(DIGITS, '0')}`;

export class MoveState {
  readonly #ctx: restate.WorkflowContext;
  readonly #rows: GuestReport[] = [];
  #standing: Standing = { state: 'planning' };

  constructor(ctx: restate.WorkflowContext) {
    this.#ctx = ctx;
  }

  get guests(): readonly GuestReport[] {
    return this.#rows;
  }

  add(row: GuestReport): void {
    this.#rows.push(row);
    this.#ctx.set(keyOf(this.#rows.length - 1), row);
  }

  change(guest: string, changed: Partial<GuestReport>): void {
    const at = this.#rows.findIndex(each => each.guest === guest);
    const row = this.#rows[at];
    if (row === undefined) return;
    this.#rows[at] = { ...row, ...changed };
    this.#ctx.set(keyOf(at), this.#rows[at]);
  }

  set(changed: Partial<Standing>): MoveReport {
    this.#standing = { ...this.#standing, ...changed };
    this.#ctx.set(STANDING, this.#standing);
    return { ...this.#standing, guests: [...this.#rows] };
  }
}

/** As who asks is told, also while it goes on. */
export async function reportIn(ctx: restate.WorkflowSharedContext): Promise<MoveReport> {
  const standing = (await ctx.get<Standing>(STANDING)) ?? { state: 'planning' };
  const keys = (await ctx.stateKeys()).filter(key => key.startsWith(ROW)).sort();
  const guests: GuestReport[] = [];
  for (const key of keys) {
    const row = await ctx.get<GuestReport>(key);
    if (row !== null) guests.push(row);
  }
  return { ...standing, guests };
}
