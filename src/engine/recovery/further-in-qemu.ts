/**
 * Whether QEMU is further in a saga than the journal: everything that a saga makes in QEMU has the saga's name, and the intent
 * of the step that makes it is durable before. What is there without such an intent was made behind the end of this journal,
 * which is then an older copy: its saga must not be resumed. So is one that has fewer records than QEMU was told of. It only asks.
 */
import { BlocksagaError } from '../../errors.ts';
import { allJobsBy } from '../../guest/all-jobs.ts';
import { endedStream } from '../../guest/ended-stream.ts';
import { blockOf, isBelow, listNodes, plainName } from '../../guest/graph.ts';
import { askCount, countIn } from '../../guest/told-count.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { ownRecords } from '../../journal/taken-over.ts';
import { groupName, settlingName, takingName } from '../../plan/names.ts';
import type { DiskPlan, Plan, StagePlan } from '../../plan/plan.ts';
import type { QmpClient, Reply } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import { hasMark } from '../../steps/pause/mark-qemu.ts';
import { type Stage, splitKey, stagesOf } from '../../steps/stages.ts';
import { countOf } from '../durable/counted.ts';
import { recordsOfStage } from '../durable/stages.ts';

/** Throws JOURNAL_BEHIND, naming what QEMU has that the journal has never begun to make. */
export async function refuseFurther(
  qmp: QmpClient,
  saga: string,
  plan: Plan,
  records: readonly JournalRecord[],
): Promise<void> {
  const sign = await findSign(qmp, plan, records);
  if (sign === undefined) return;
  throw new BlocksagaError(
    'JOURNAL_BEHIND',
    `QEMU is further in saga ${saga} than the journal: ${sign}. The journal is an ` +
      'older copy, and nothing has been done by it: put the newer one back. Where that is lost, see to it that the guest runs (QMP: cont); ' +
      `once it has been shut down, "blocksaga resume --offline ${saga}" asks on which images it ran last`,
    { saga },
  );
}

/** What QEMU was told of a saga of which this journal has less, in words; undefined where it has as much. A running saga tells more. */
export async function toldMore(
  qmp: QmpClient,
  token: string,
  records: () => readonly JournalRecord[],
): Promise<string | undefined> {
  const [reply] = await qmp.pipeline([askCount(token)]);
  return moreInWords(reply, records());
}

function moreInWords(reply: Reply, records: readonly JournalRecord[]): string | undefined {
  const [told, has] = [countIn(reply), countOf(records)];
  if (told <= has) return undefined;
  const last = ownRecords(records).at(-1);
  const lastAt = last && `the ${last.kind} of ${last.step}, of ${TIME.format(last.atMs)} UTC`;
  return (
    `it was told of ${told} steps, decisions and signals of this saga, and this journal knows of ${has}` +
    (lastAt === undefined ? '' : `; the last that it has is ${lastAt}`)
  );
}

const TIME = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

/** What a disk has in QEMU, and the steps of which one must have been begun for that. */
interface Sign {
  readonly names: (disk: DiskPlan) => readonly string[];
  readonly steps: readonly string[];
}

/** In the pause of the guest the journal may lack what was begun there, since its records ride with the decision. */
const PAUSE = 'pauseGuest';
const SNAPSHOTS = ['takeSnapshot', 'takeSnapshotSync', 'takeSnapshotsOneByOne', 'takeSnapshotInPause'];
const SIGNS: readonly Sign[] = [
  {
    names: ({ names }) => [names.job],
    steps: ['mirrorDisks', 'rewriteChains', 'rewriteFirst', 'rewriteRest'],
  },
  {
    names: ({ names }) => [names.image, names.createJob],
    steps: ['createImages', 'mirrorDisks', PAUSE, ...SNAPSHOTS],
  },
  {
    names: ({ names }) => [names.filter],
    steps: ['insertFiltersLive', 'insertFilters', PAUSE, 'finalizeRewrites', 'finalizeRest'],
  },
];

const SWITCHES = [...SNAPSHOTS, 'mirrorDisks', PAUSE];

async function findSign(
  qmp: QmpClient,
  plan: Plan,
  records: readonly JournalRecord[],
): Promise<string | undefined> {
  const made = await findMade(qmp, plan, records);
  return typeof made === 'string' ? `it has ${made}, which this journal has never begun to make` : made.more;
}

/** What the journal has never begun to make, or that QEMU was told of more than it knows. */
async function findMade(
  qmp: QmpClient,
  plan: Plan,
  records: readonly JournalRecord[],
): Promise<string | { readonly more: string | undefined }> {
  if (plan.marksQemu) {
    const marks = stagesOf(plan).some(({ name }) => hasBegun(recordsOfStage(records, name), ['markQemu']));
    if (!marks && (await hasMark(qmp, plan))) return 'the mark of this saga';
  }
  const [jobs, objects, blocks, count] = await qmp.pipeline([
    { execute: 'query-jobs' },
    { execute: 'qom-list', arguments: { path: '/objects' } },
    { execute: 'query-block' },
    askCount(plan.token),
  ]);
  if (!blocks.ok) throw blocks.error;
  const there = new Set((await allJobsBy(qmp, jobs)).map(({ id }) => id));
  // Some QEMUs die of listing their nodes while an ended stream has not been dismissed.
  if ((await endedStream(qmp)) === undefined) {
    const [nodes] = await qmp.pipeline([listNodes(qmp)]);
    for (const node of valueIfKnown(nodes) ?? []) there.add(node['node-name'] ?? '');
  }
  const settling = settlingName(plan.token);
  const seen = {
    blocks: blocks.value,
    marks: new Set((valueIfKnown(objects) ?? []).map(({ name }) => name)),
  };
  for (const stage of stagesOf(plan)) {
    const own = recordsOfStage(records, stage.name);
    const moved = stage.plan.disks.find(
      disk => isMadeAndShown(blocks.value, disk) && !isTheirs(plan, stage.plan, disk, seen),
    );
    if (moved !== undefined && !hasBegun(own, SWITCHES)) return moved.image.file;
    for (const { names, steps } of SIGNS) {
      if (hasBegun(own, steps)) continue;
      const found = stage.plan.disks.flatMap(names).find(name => there.has(name));
      if (found !== undefined) return found;
    }
  }
  const taking = stagesOf(plan).some(isTakenInPause) ? [...SNAPSHOTS, PAUSE] : SNAPSHOTS;
  if (seen.marks.has(takingName(plan.token)) && !hasBegunAnywhere(records, taking))
    return takingName(plan.token);
  if (seen.marks.has(settling) && !hasBegunAnywhere(records, [PAUSE])) return settling;
  return { more: moreInWords(count, records) };
}

/** Snapshots of a group, and those that are taken one by one. */
function isTakenInPause({ plan }: Stage): boolean {
  return plan.operation === 'snapshot' && (plan.group !== undefined || plan.method === 'sequential');
}

interface Seen {
  readonly blocks: readonly BlockInfo[];
  readonly marks: ReadonlySet<string>;
}

/**
 * Whether a third party has put an image of this stage in front (`blockdev-snapshot`, `qom-set`). A saga that has come so far
 * has left the mark of its snapshot, or of its mirrors' end, until its own mark is gone too; and no copy stands on the image
 * that it was copied from.
 */
function isTheirs({ token }: Plan, stage: StagePlan, disk: DiskPlan, { blocks, marks }: Seen): boolean {
  if (stage.operation === 'copy' && isBelow(blocks, disk, disk.file)) return true;
  const left = stage.operation === 'snapshot' ? takingName(token) : settlingName(token);
  return marks.has(groupName(token)) && !marks.has(left);
}

/** A disk of the guest's is on the image that the saga makes for it. */
function isMadeAndShown(blocks: readonly BlockInfo[], disk: DiskPlan): boolean {
  const shown = blockOf(blocks, disk)?.inserted;
  return disk.image.create && shown !== undefined && plainName(shown.file) === disk.image.file;
}

/** In any stage. */
function hasBegunAnywhere(records: readonly JournalRecord[], steps: readonly string[]): boolean {
  return records.some(({ kind, step }) => kind === 'intent' && steps.includes(splitKey(step).step));
}

function hasBegun(records: readonly JournalRecord[], steps: readonly string[]): boolean {
  return records.some(({ kind, step }) => kind === 'intent' && steps.includes(step));
}
