/**
 * Removes the new images of a saga that went back: each only when it is provably the very file that the saga made, when
 * nobody writes to it, and when no chain and no other saga names it. All others stay, and are told.
 */
import type { Journal, JournalRecord } from '../journal/journal.ts';
import type { Json } from '../qmp/transport.ts';
import type { Files } from '../steps/files.ts';
import type { Images } from '../steps/images.ts';
import type { DiskPlan, Plan } from '../steps/plan.ts';
import type { OfflineVerdict } from './decide-offline.ts';

/** What is known when images are dropped. */
export interface DropFacts {
  readonly id: string;
  readonly plan: Plan;
  readonly verdict: OfflineVerdict;
  readonly records: readonly JournalRecord[];
  /** The files of the chains to boot from. */
  readonly chains: readonly string[];
  readonly journal: Journal;
  readonly files: Files;
  readonly images: Images;
}

/** Removes what may go; gives the files that are left and that the saga may have made. Throws FILES. */
export async function dropImages(facts: DropFacts): Promise<readonly string[]> {
  const { plan, verdict, files, images } = facts;
  const candidates = plan.disks.filter(({ image, index }) => {
    const action = verdict.disks.find(disk => disk.index === index)?.action;
    return image.create && (action === 'drop' || action === 'moveBack');
  });
  const left: string[] = [];
  const guarded = candidates.length === 0 ? undefined : await guardedFiles(facts);
  for (const disk of candidates) {
    const { file, driver } = disk.image;
    const found = await files.stat(file);
    if (found === undefined) continue;
    const claim = claimOf(disk, found.sizeBytes, found.identity, facts.records);
    const isGuarded = guarded?.has(file) === true || guarded?.has(found.identity) === true;
    const isFree = (await images.look({ file, driver })).state !== 'inUse';
    if (claim !== undefined && !isGuarded && isFree) {
      await files.unlink(file, claim);
      await files.syncDirectory(file);
    }
    if ((await files.stat(file)) !== undefined) left.push(file);
  }
  return left;
}

/** Names and identities of all images that must stay: of these chains, and of every saga that may still need them. */
async function guardedFiles(facts: DropFacts): Promise<ReadonlySet<string>> {
  const { id, plan, chains, journal, files } = facts;
  const guarded = new Set<string>([...chains, ...plan.disks.flatMap(belowDisk)]);
  for (const row of journal.sagas()) {
    if (row.id === id || row.state === 'rolledBack') continue;
    for (const disk of (row.plan as object as Plan).disks) {
      for (const file of [...belowDisk(disk), disk.image.file]) guarded.add(file);
    }
  }
  for (const file of [...guarded]) {
    const identity = file.startsWith('/') ? (await files.stat(file))?.identity : undefined;
    if (identity !== undefined) guarded.add(identity);
  }
  return guarded;
}

/** What a disk is on and what is below that, and what is below its new image. */
function belowDisk({ file, chain, image }: DiskPlan): readonly string[] {
  const { backing, below } = image;
  return [file, ...[...chain, ...(backing === null ? [] : [backing]), ...below].map(each => each.file)];
}

/** The identity under which the saga has claimed the file, when the records prove it. */
function claimOf(
  disk: DiskPlan,
  sizeBytes: number,
  identity: string,
  records: readonly JournalRecord[],
): string | undefined {
  const outcome = records.findLast(({ kind, step }) => kind === 'outcome' && step === 'claimFiles');
  const claims = member(outcome?.body ?? null, 'value');
  if (Array.isArray(claims)) {
    const claim = claims.find((each: Json) => member(each, 'index') === disk.index) ?? null;
    const claimed = member(claim, 'identity');
    return typeof claimed === 'string' ? claimed : undefined;
  }
  // Died while claiming: what was free then, and is empty now, can only be the saga's own claim.
  const intent = records.findLast(({ kind, step }) => kind === 'intent' && step === 'claimFiles');
  const free = member(intent?.body ?? null, 'observed');
  return sizeBytes === 0 && Array.isArray(free) && free.includes(disk.index) ? identity : undefined;
}

function member(body: Json, name: string): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return (body as { readonly [key: string]: Json })[name] ?? null;
}
