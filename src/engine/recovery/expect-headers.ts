/**
 * Images that a saga knows by their names alone, since it did not see QEMU's files or which of them were open, or its journal lacks them:
 * whether what stands under such a name can be the image that the saga knew, by what its header leads to. A third party's image rarely stands where that one did;
 * where it does nothing tells the two apart, and the result says which images were not proved. It only reads.
 */
import { plainName } from '../../guest/graph.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { Files } from '../../images/files.ts';
import type { Images } from '../../images/images.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { ChainImage, DiskPlan, Plan, RewritePlan } from '../../plan/plan.ts';
import { stagesOf } from '../../steps/stages.ts';
import { History } from '../durable/history.ts';
import { recordsOfStage } from '../durable/stages.ts';

/** By the names of images, their formats and the images that their headers may lead to; null where that is none. */
export type Leads = ReadonlyMap<string, Lead>;

interface Lead {
  readonly driver: string;
  readonly to: ReadonlySet<string | null>;
}

/** What is known of the files of a saga's images. */
export interface KnownFiles {
  /** By their names, the identities of the files that the saga has found or made. */
  readonly known: ReadonlyMap<string, string>;
  /** Those that were found under their names when it was planned, while no /proc told whether QEMU had other files open. */
  readonly guessed: ReadonlySet<string>;
  /** Of the guessed ones those of which it was asked, and could not be told. */
  readonly unproved: ReadonlySet<string>;
  /** Of those whose identities are not known, or guessed: what tells that another image stands there. */
  readonly leads: Leads;
  /** By their names, the files that stood there when it was planned, and that QEMU did not have open. */
  readonly astray: NonNullable<Plan['astray']>;
  /** Files that were said to be the right ones. */
  readonly accepted: readonly string[];
}

/** Before the saga, and as the saga leaves them, or has them for a while, once it may have begun with that. */
export function leadsIn(plan: Plan, records: readonly JournalRecord[]): Leads {
  const leads = new Map<string, { readonly driver: string; readonly to: Set<string | null> }>();
  for (const { name, plan: stage } of stagesOf(plan)) {
    const isWhole = 'rewrites' in stage && !mayBeShortened(stage, recordsOfStage(records, name));
    for (const chain of stage.disks.flatMap(disk =>
      isWhole ? [disk.chain] : chainsOf(stage.operation, disk),
    )) {
      for (const [at, image] of chain.entries()) {
        const below = chain[at + 1];
        if (image.unnameable !== undefined || below?.unnameable !== undefined) continue;
        const file = plainName(image.file);
        const lead = leads.get(file) ?? { driver: image.driver, to: new Set() };
        leads.set(file, lead);
        lead.to.add(below === undefined ? null : plainName(below.file));
      }
    }
  }
  return leads;
}

/** Chains are shortened behind the decision; where QEMU does not hold jobs back, by the first of them. */
function mayBeShortened({ manualFinalize }: RewritePlan, records: readonly JournalRecord[]): boolean {
  if (manualFinalize) return new History(records).decision === 'forward';
  return records.some(({ kind, step }) => kind === 'intent' && step === 'rewriteFirst');
}

/** The header of an image that is reused was proved before anything of the guest came to depend on it. */
function chainsOf(operation: Plan['operation'], disk: DiskPlan): readonly (readonly ChainImage[])[] {
  const { chain, image } = disk;
  const fresh = chainOfImage(disk);
  const [front = disk] = fresh;
  const below = chain.slice(chain.findIndex(({ file }) => file === image.openedOn?.file));
  return [
    chain,
    fresh,
    ...(image.openedOn === undefined ? [] : [[front, ...below]]),
    ...(operation === 'snapshot' ? [[front, ...chain]] : []),
  ];
}

/** Where it is looked. */
export interface Headers {
  readonly files: Pick<Files, 'stat'>;
  readonly images: Pick<Images, 'look'>;
}

/** Why what stands under the name of an image that is known by that alone is not it, in words; undefined where nothing tells. */
export async function whyNotIt(
  file: string,
  { known, guessed, leads, astray, accepted }: KnownFiles,
  { files, images }: Headers,
): Promise<string | undefined> {
  if (accepted.includes(file)) return undefined;
  const knew = known.get(file);
  if (knew !== undefined && !(guessed.has(file) && (await standsThere(knew, file, files)))) return undefined;
  const stood = astray[file] ?? undefined;
  if (stood !== undefined && (await standsThere(stood, file, files)))
    return 'it stood there when the saga was planned, and QEMU had another file open';
  const lead = leads.get(file);
  if (lead === undefined) return undefined;
  const sight = await images.look({ file, driver: lead.driver });
  if (sight.state !== 'readable') return undefined;
  const found = sight.backing === null ? null : plainName(sight.backing.file);
  for (const meant of lead.to) if (await isSame(found, meant, files)) return undefined;
  const [meant = null] = lead.to;
  return `its header leads to ${found ?? 'no image'}, and not to ${meant ?? 'none'}`;
}

async function standsThere(identity: string, file: string, files: Pick<Files, 'stat'>): Promise<boolean> {
  const stands = await files.stat(file);
  return stands !== undefined && isSameFile(identity, stands.identity);
}

async function isSame(
  found: string | null,
  meant: string | null,
  files: Pick<Files, 'stat'>,
): Promise<boolean> {
  if (found === meant) return true;
  if (found === null || meant === null) return false;
  const [one, other] = [await files.stat(found), await files.stat(meant)];
  return one !== undefined && other !== undefined && isSameFile(one.identity, other.identity);
}

/** In words, the files of the chains that are booted from of which it was not proved that QEMU had them open; nothing where all are. */
export async function unprovedInWords(
  chains: readonly (readonly string[])[],
  { known, guessed, unproved, accepted }: KnownFiles,
  files: Pick<Files, 'stat'>,
): Promise<readonly string[]> {
  const unseen: string[] = [];
  const proved = [...known].filter(([file]) => !unproved.has(file));
  const booted = [...new Set(chains.flat())].filter(file => file.startsWith('/') && !accepted.includes(file));
  for (const file of booted) {
    if (known.has(file) && !unproved.has(file)) continue;
    const stands = await files.stat(file);
    const isKnown = proved.some(([, one]) => stands !== undefined && isSameFile(one, stands.identity));
    if (stands?.kind === 'file' && !isKnown) unseen.push(file);
  }
  return [
    ...unprovedSince(unseen, "this saga has not seen QEMU's files"),
    ...unprovedSince(
      booted.filter(file => guessed.has(file) && !unproved.has(file)),
      'no /proc told which files it had open when this saga was planned',
    ),
  ];
}

function unprovedSince(files: readonly string[], why: string): readonly string[] {
  if (files.length === 0) return [];
  return [
    `it could not be proved of ${files.join(', ')} that QEMU had no other file open by that name, since ${why}`,
  ];
}
