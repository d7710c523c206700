/** Many rounds on one fleet; one that is broken ends it, and a new one goes on, so that it breaks no other. */
import { KINDS } from './acts.ts';
import { type Arena, startArena } from './arena.ts';
import { kindOf, playRound, type Round } from './round.ts';

export interface RoundsOptions {
  readonly rounds: number;
  /** The number of the first. */
  readonly from?: number;
  readonly seed: number;
  readonly nodes: 1 | 3;
  readonly qemu?: string;
  /** Only this kind. */
  readonly kind?: string;
  /** Ends behind the round under way. */
  readonly signal?: AbortSignal;
  readonly say: (line: string) => void;
}

/** Far from the seeds of other runs. */
const SEEDS_APART = 100_003;
/** Journals and chains of a fleet grow; a round is to be no slower for what was before it. */
const ROUNDS_OF_ONE_FLEET = 60;
/** Of each process, where a round is broken. */
const LINES_TOLD = 20;

export async function playRounds(options: RoundsOptions): Promise<readonly Round[]> {
  const { rounds: count, from = 0, seed, nodes, qemu, signal, say } = options;
  const played: Round[] = [];
  let arena: Arena | undefined;
  try {
    for (let nth = from; nth < from + count && signal?.aborted !== true; nth += 1) {
      arena ??= await startArena({ nodes, seed, ...(qemu === undefined ? {} : { qemu }) });
      const kind = KINDS.find(({ name }) => name === options.kind) ?? kindOf(nth, qemu === undefined);
      const begunMs = Date.now();
      const round = await playRound(arena, `r${nth}`, seed * SEEDS_APART + nth, kind).catch(
        (error: unknown): Round => broken(nth, seed * SEEDS_APART + nth, kind.name, error),
      );
      played.push(round);
      say(inWords(round, Date.now() - begunMs));
      const isOver = round.wrong.length > 0 || (nth - from + 1) % ROUNDS_OF_ONE_FLEET === 0;
      if (!isOver) continue;
      if (round.wrong.length > 0) for (const line of linesOf(arena)) say(line);
      await arena[Symbol.asyncDispose]();
      arena = undefined;
    }
  } finally {
    await arena?.[Symbol.asyncDispose]();
  }
  return played;
}

function broken(nth: number, seed: number, kind: string, error: unknown): Round {
  return {
    ...{
      id: `r${nth}`,
      seed,
      kind,
      victims: [],
      operation: '?',
      moment: '?',
      hasStruck: false,
      isLate: false,
    },
    ...{
      outcome: 'BROKEN',
      heldMs: 0,
      byHand: [],
      wrong: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    },
  };
}

function inWords(round: Round, tookMs: number): string {
  const { id, seed, kind, victims, operation, moment, hasStruck, isLate, outcome, byHand, wrong, heldMs } =
    round;
  const struck = hasStruck
    ? `struck ${victims.join(' and ')} at ${moment}${isLate ? ', when all was over' : ''}`
    : `the moment did not come (${moment})`;
  const hand = byHand.length === 0 ? '' : `; by hand: ${byHand.join(', ')}`;
  const end = wrong.length === 0 ? outcome : `${outcome} BROKEN: ${wrong.join('; ')}`;
  return `${id} seed ${seed} ${kind}: ${operation}, ${struck}: ${end}${hand} (key ${heldMs} ms, ${(tookMs / 1000).toFixed(1)} s)`;
}

function linesOf({ hosts, endpoint }: Arena): readonly string[] {
  return [...hosts.map(({ agent }) => agent), endpoint].flatMap(part =>
    part.lines.slice(-LINES_TOLD).map(line => `    ${part.name}: ${line}`),
  );
}
