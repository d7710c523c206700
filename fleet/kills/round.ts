/** One round: the fleet is asked for something, something is killed at some moment, and what is left is put right as operators do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededChance } from '../../src/sim/host/random.ts';
import { type Blow, KINDS, type Kind } from './acts.ts';
import type { Arena } from './arena.ts';
import type { Told } from './caller.ts';
import type { Guest, Seen } from './guest.ts';
import { judgeRound } from './judge.ts';
import { drawMoment, drawOperation, type Moment, type Operation } from './operations.ts';
import { putRight, statesIn } from './recovery.ts';

export interface Round {
  readonly id: string;
  readonly seed: number;
  readonly kind: string;
  readonly victims: readonly string[];
  readonly operation: string;
  readonly moment: string;
  /** False where its moment did not come. */
  readonly hasStruck: boolean;
  /** The caller had its answer before. */
  readonly isLate: boolean;
  readonly outcome: string;
  /** The longest that an object's key was held when all was well again. */
  readonly heldMs: number;
  /** What an operator had to do by hand. */
  readonly byHand: readonly string[];
  readonly wrong: readonly string[];
}

/** A moment that has not come by then does not come. */
const MOMENT_MS = 20_000;

/** What a round draws depends on its seed alone, and on how long the chains of the guests are. */
export async function playRound(arena: Arena, id: string, seed: number, kind: Kind): Promise<Round> {
  const chance = seededChance(seed);
  const before = await lookAtAll(arena);
  const known = new Set(statesIn(arena).keys());
  const longest = Math.max(...[...before.values()].flatMap(({ chains }) => chains.map(each => each.length)));
  const operation = drawOperation(arena, id, longest, chance);
  const blows = kind.draw(arena, chance);
  const moment = drawMoment(arena, operation, chance);
  const restMs = chance.below(kind.restMs);
  const call = new Call(
    arena,
    operation,
    blows.some(({ isCaller }) => isCaller),
  );
  call.begin();
  const hasStruck = await strikeAt(moment, call, blows);
  const { isLate } = call;
  await sleep(restMs);
  await mend(blows, call, hasStruck);
  const told = await call.told;
  const dead = hasStruck ? blows.flatMap(({ guest }) => guest ?? []) : [];
  const { sides, byHand, heldMs, wrong } = await putRight(arena, { operation, before, dead });
  const judged = await judgeRound(arena, { operation, before, told, sides, known, dead });
  return {
    ...{ id, seed, hasStruck, isLate, heldMs, byHand },
    kind: kind.name,
    victims: blows.map(({ victim }) => victim),
    operation: operation.name,
    moment: momentInWords(moment, restMs),
    outcome: judged.outcome,
    wrong: [...wrong, ...judged.wrong],
  };
}

export function kindOf(nth: number, hasWires: boolean): Kind {
  const kinds = KINDS.filter(({ needsWires }) => hasWires || needsWires !== true);
  return kinds[nth % kinds.length] as Kind;
}

export async function lookAtAll({ guests }: Arena): Promise<ReadonlyMap<Guest, Seen>> {
  return new Map(await Promise.all(guests.map(async guest => [guest, await guest.look()] as const)));
}

/** True where they were struck. */
async function strikeAt(moment: Moment, call: Call, blows: readonly Blow[]): Promise<boolean> {
  const strike = async () => {
    call.isLate = call.isAnswered;
    await Promise.all(blows.map(blow => (blow.isCaller ? call.kill() : blow.strike())));
  };
  if ('afterMs' in moment) {
    await sleep(moment.afterMs);
    await strike();
    return true;
  }
  let hasStruck = false;
  const struck = new Promise<void>((resolve, reject) => {
    moment.wire.arm(moment.boundary, async () => {
      hasStruck = true;
      await strike().then(resolve, reject);
    });
  });
  const isOver = call.told.catch(() => undefined);
  await Promise.race([struck, isOver, sleep(MOMENT_MS, undefined, { ref: false })]);
  moment.wire.disarm();
  if (hasStruck) await struck;
  return hasStruck;
}

async function mend(blows: readonly Blow[], call: Call, hasStruck: boolean): Promise<void> {
  if (!hasStruck) return;
  await Promise.all(blows.map(blow => (blow.isCaller ? call.again() : blow.mend())));
}

/** The call of a round: by this process, or by one that is killed and asks again. */
class Call {
  readonly #arena: Arena;
  readonly #operation: Operation;
  readonly #isProcess: boolean;
  readonly told: Promise<Told>;
  isAnswered = false;
  /** Answered before the blow. */
  isLate = false;
  #child: ChildProcess | undefined;
  #resolve: (told: Told | Promise<Told>) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(arena: Arena, operation: Operation, isProcess: boolean) {
    this.#arena = arena;
    this.#operation = operation;
    this.#isProcess = isProcess;
    this.told = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It is awaited when the blow has fallen.
    const over = () => {
      this.isAnswered = true;
    };
    this.told.then(over, over);
  }

  begin(): void {
    const { caller } = this.#arena;
    const { path, sagas, body } = this.#operation;
    if (this.#isProcess) this.again();
    else caller.run(path, String(sagas[0]), body).then(this.#resolve, this.#reject);
  }

  async again(): Promise<void> {
    const { path, sagas, body } = this.#operation;
    const child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, 'caller.ts'),
        ...[JSON.stringify(this.#arena.ingresses), path, String(sagas[0]), JSON.stringify(body)],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    this.#child = child;
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', part => {
      text += part;
    });
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') return;
      if (code === 0) this.#resolve(JSON.parse(text) as Told);
      else this.#reject(new Error(`the caller has ended with ${code}`));
    });
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
  }
}

function momentInWords(moment: Moment, restMs: number): string {
  const when =
    'afterMs' in moment ? `${moment.afterMs} ms after the call` : `${moment.on}, ${moment.boundary.nth}.`;
  return `${when}, for ${restMs} ms`;
}
