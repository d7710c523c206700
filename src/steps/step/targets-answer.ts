/**
 * Whether the storage behind the images that disks are to end on answers a request of ours, past QEMU: QEMU's `stop` waits for
 * a flush of each, and inside it no deadline counts. A server that serves one client only never answers a second one, which
 * is learnt while its mirror copies, and then says nothing. It only asks.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepContext } from './step.ts';

/** How long a server may take to answer while the guest runs and its mirror works, in milliseconds. */
const LEARN_WITHIN_MS = 5_000;

/** The part of the permitted blackout in which a server must answer in the pause, and what it is given at least. */
const PAUSE_SHARE = 0.25;
const PAUSE_LEAST_MS = 200;

type Asks = Pick<StepContext, 'files' | 'outcomes'>;
type AsksInPause = Asks & { readonly plan: Pick<StepContext['plan'], 'maxBlackoutMs'> };

/** Which exports answer a second client, by the disks' indexes, for the outcome of the step that mirrors; null for none. */
export async function learnAnswering(
  { files }: Pick<StepContext, 'files'>,
  disks: readonly DiskPlan[],
): Promise<Json> {
  if (files?.answers === undefined) return null;
  const exports = disks.filter(({ image }) => image.protocol === 'nbd');
  if (exports.length === 0) return null;
  const answer = await Promise.all(exports.map(({ image }) => files.answers?.(image.file, LEARN_WITHIN_MS)));
  return { answering: exports.filter((_, at) => answer[at] === 'inTime').map(({ index }) => index) };
}

/**
 * The disks whose targets have not answered within that time, though they can. Throws VERIFY_FAILED where there is no server
 * any more: QEMU's own connection has ended with it, and the mirror cannot be ended well.
 */
export async function unanswering(
  { files, outcomes }: Asks,
  disks: readonly DiskPlan[],
  withinMs: number,
): Promise<readonly DiskPlan[]> {
  if (files?.answers === undefined) return [];
  const learnt = answeringIn(outcomes.get('mirrorDisks') ?? null);
  const askable = disks.filter(({ index, image: { protocol, file }, cache }) =>
    protocol === 'nbd' ? learnt.has(index) : file.startsWith('/') && !cache.noFlush,
  );
  const answer = await Promise.all(askable.map(({ image }) => files.answers?.(image.file, withinMs)));
  const gone = askable.find((_, at) => answer[at] === 'gone');
  if (gone !== undefined) throw unanswered(gone, 'does not serve it any more');
  return askable.filter((_, at) => answer[at] === 'late');
}

/** Whether a server of its own has the disk's new image. */
export function isServed({ image }: DiskPlan): boolean {
  return image.protocol === 'nbd';
}

/**
 * Throws VERIFY_FAILED where an export that answered before does not answer now, right in front of the switch: QEMU cannot
 * switch back from a server that has died (`blockdev-reopen` flushes first). Only exports cost a round trip of the pause.
 */
export async function expectAnswering(context: AsksInPause, disks: readonly DiskPlan[]): Promise<void> {
  const exports = disks.filter(isServed);
  if (exports.length === 0) return;
  const withinMs = Math.max(PAUSE_LEAST_MS, context.plan.maxBlackoutMs * PAUSE_SHARE);
  const [silent] = await unanswering(context, exports, withinMs);
  if (silent !== undefined) throw unanswered(silent, `did not answer within ${withinMs} ms`);
}

function unanswered({ disk, image }: DiskPlan, what: string): BlocksagaError {
  return new BlocksagaError(
    'VERIFY_FAILED',
    `disk ${disk}: the server of ${image.file} ${what}, and the guest stays on its old image: see to that server, then try again`,
    { disk },
  );
}

function answeringIn(record: Json): ReadonlySet<number> {
  const indexes =
    typeof record === 'object' && record !== null && 'answering' in record && Array.isArray(record.answering)
      ? record.answering
      : [];
  return new Set(indexes.filter(index => typeof index === 'number'));
}
