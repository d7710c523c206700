/**
 * Plays one row of the table on a stage and judges it: the error's category, or the chain, the files and the data that
 * are left. After a refusal everything must be as it was.
 */
import { isDeepStrictEqual } from 'node:util';
import { BlocksagaError } from '../../src/errors.ts';
import { LibvirtError } from '../../src/libvirt/index.ts';
import type { Row } from './row.ts';
import { CHAINS, DISK, expectedBytes, layersOf, type Stage, type StageOptions } from './stage.ts';

/** What a row came to in one place. */
export type Verdict =
  | { readonly verdict: 'passed' }
  /** This QEMU lacks what it needs, and the call said so. */
  | { readonly verdict: 'cannot'; readonly why: string };

/** A row with what it came to in one place, also where that was wrong. */
export interface Played {
  readonly row: Row;
  readonly verdict: Verdict | { readonly verdict: 'failed'; readonly why: string };
}

/** What is said of a row that is wrong. */
export function whyOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The stage that a row is played on. */
export function stageOf({ chain = 'chain', domain = {}, profile = 'compat', set = {} }: Row): StageOptions {
  return { chain, domain: { profile, ...domain }, ...set };
}

/** As `play`; where this QEMU lacks what the row needs, that is said instead of an error. */
export async function judge(row: Row, stage: Stage, quits = true): Promise<Verdict> {
  try {
    await play(row, stage, quits);
    return { verdict: 'passed' };
  } catch (error) {
    const cause = error instanceof LibvirtError ? error.cause : undefined;
    if (cause instanceof BlocksagaError && cause.code === 'CAPABILITY_MISSING') {
      return { verdict: 'cannot', why: cause.message };
    }
    throw error;
  }
}

/** Plays the row on its stage and reads the images, after QEMU has ended unless told otherwise; throws what is wrong. */
async function play(row: Row, stage: Stage, quits: boolean): Promise<void> {
  const { expect, chain: kind = 'chain' } = row;
  await row.before?.(stage);
  const caught = await attempt(row, stage);
  if (caught !== undefined && caught.category !== expect.error) throw caught;
  same('the category', caught?.category, expect.error);
  if (expect.errno !== undefined) same('the errno', caught?.errno, expect.errno);
  if (expect.dead === true) return;
  await row.after?.(stage);
  const wanted = expect.headers ?? expect.chain ?? [...CHAINS[kind]];
  if (expect.headers === undefined) {
    same('the chain in QEMU', await stage.chain(), wanted);
    if (expect.jobsStay !== true) same('the jobs that are left', await stage.jobs(), 0);
    if (quits) await stage.quit();
  }
  const [front = ''] = wanted;
  same('the chain in the headers', await stage.headers(front), wanted);
  same('the data in front', await stage.bytes(front), expectedBytes(layersOf(kind)));
  for (const name of expect.gone ?? []) same(`whether ${name} is there`, await stage.exists(name), false);
  for (const name of expect.there ?? []) same(`whether ${name} is there`, await stage.exists(name), true);
}

/** The call, and what brings its job to the end that the row is about. */
async function attempt(row: Row, stage: Stage): Promise<LibvirtError | undefined> {
  const { domain } = stage;
  try {
    await row.call?.(stage);
    switch (row.end) {
      case 'itself':
        same('the event', (await ended(stage)).status, 'COMPLETED');
        break;
      case 'fails':
        same('the event', (await ended(stage)).status, 'FAILED');
        break;
      case 'pivot':
      case 'abort':
        await stage.event('READY');
        same('the chain while it is ready', await stage.chain(DISK, 'filterOfSaga'), [
          ...CHAINS[row.chain ?? 'chain'],
        ]);
        await domain.blockJobAbort(DISK, row.end === 'pivot' ? ['PIVOT'] : []);
        break;
      case 'stop':
        await domain.blockJobAbort(DISK);
        same('the event', stage.events.at(-1)?.status, 'CANCELED');
        break;
      default:
    }
    return undefined;
  } catch (error) {
    if (error instanceof LibvirtError) return error;
    throw error;
  }
}

async function ended(stage: Stage) {
  const last = () => stage.events.find(({ status }) => status !== 'READY');
  return (
    last() ?? (await Promise.race([stage.event('COMPLETED'), stage.event('FAILED'), stage.event('CANCELED')]))
  );
}

/** Throws unless both are the same. */
export function same(what: string, found: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(found, wanted)) return;
  throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}
