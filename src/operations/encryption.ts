/**
 * Keeps encrypted what is encrypted: what the new image of a disk is to be opened with, and which requests would write
 * data in the clear. Only the ids of secret objects are spoken of here; what they hold stays in QEMU.
 */
import { BlocksagaError } from '../errors.ts';
import type { ChainImage } from '../plan/plan.ts';
import type { FoundDisk } from './find-image.ts';
import type { Survey } from './survey.ts';

/** Says aloud that a new image is to be in the clear. */
const IN_THE_CLEAR = 'none';

/** A disk whose data go into a new image, with what the request says of its encryption. */
interface Wanted extends FoundDisk {
  /** The id of a secret object, or `none`; the disk's own when absent. */
  readonly encrypt?: string | undefined;
}

/**
 * The id of the secret object that a new image is encrypted with; null for one in the clear, which an encrypted disk gets
 * only when the request says so. Throws REQUEST_INVALID where it has to say more.
 */
export function secretFor(
  { disk, source, encrypt }: Wanted,
  { secrets }: Pick<Survey, 'secrets'>,
): string | null {
  if (encrypt === IN_THE_CLEAR) return null;
  const own = encryptedIn(source.chain);
  if (encrypt === undefined && own === undefined) return null;
  const secret = encrypt ?? own?.secret ?? null;
  const say = 'say encrypt=ID with the id of a secret object, or encrypt=none for an image in the clear';
  if (secret === null) {
    return refuse(disk, `${own?.file} is encrypted, and QEMU does not tell with which secret object: ${say}`);
  }
  if (secrets.includes(secret)) return secret;
  const known = secrets.length === 0 ? 'it has none' : `it has ${secrets.join(', ')}`;
  if (encrypt !== undefined)
    return refuse(disk, `QEMU has no secret object "${secret}" (object-add); ${known}`);
  return refuse(
    disk,
    `${own?.file} is encrypted with the secret object "${secret}", which QEMU does not have any more (${known}): ${say}`,
  );
}

/** The first image, front first, that is encrypted. */
function encryptedIn(chain: readonly ChainImage[]): ChainImage | undefined {
  return chain.find(({ secret }) => secret !== undefined);
}

/** Throws CAPABILITY_MISSING where QEMU itself makes an image, which it does in the clear. */
export function refuseClear(disk: string, secret: string | null, what: string): void {
  if (secret === null) return;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk}: this QEMU makes ${what} by itself, and in the clear; make an encrypted image and say reuse, or say encrypt=none`,
    { disk },
  );
}

/** Throws DISK_UNSUPPORTED where data of encrypted images would go into one in the clear. */
export function refuseIntoClear(disk: string, from: readonly ChainImage[], into: ChainImage): void {
  const encrypted = encryptedIn(from);
  if (encrypted === undefined || into.secret !== undefined) return;
  throw new BlocksagaError(
    'DISK_UNSUPPORTED',
    `disk ${disk}: what is in ${encrypted.file} is encrypted, and would be written in the clear into ${into.file}; copy the disk instead`,
    { disk },
  );
}

function refuse(disk: string, why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', `disk ${disk}: ${why}`, { disk });
}
