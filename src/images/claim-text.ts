/**
 * What a new image file holds until QEMU formats it: whose it is, and behind that a hole, so that its size is one that no
 * other file has by chance. By that QEMU, which tells only the size of a file, is seen to have this one. Pure.
 */
import { createHash } from 'node:crypto';

/** The words at the beginning of every such file. */
export const CLAIM_BYTES = 128;

const BEGIN = 'blocksaga made this file; QEMU has not formatted it yet: ';
const SECTOR_BYTES = 512;
const SECTORS_MAX = 32 * 1024;

/** The contents, before the hole, of a file that was made for `claim`, the name of the image in QEMU. */
export function claimBytes(claim: string): Buffer {
  return Buffer.from(`${BEGIN}${claim}`.padEnd(CLAIM_BYTES - 1).concat('\n'), 'latin1');
}

/** The size of the whole file, in bytes; 16 MiB at most. */
export function claimSizeBytes(claim: string): number {
  const hash = createHash('sha256').update(claim).digest();
  return SECTOR_BYTES * (1 + (hash.readUInt32BE() % SECTORS_MAX));
}

/** The claim in a file of this size that begins like this; undefined for any other. */
export function claimIn(contents: Buffer, sizeBytes: number): string | undefined {
  const text = contents.toString('latin1');
  const claim = text.startsWith(BEGIN) ? text.slice(BEGIN.length).trimEnd() : '';
  const isWhole = claim !== '' && contents.equals(claimBytes(claim));
  return isWhole && sizeBytes === claimSizeBytes(claim) ? claim : undefined;
}

/**
 * The name, in the directory of the file that is made for `claim`, under which it is made: it is the saga's own, as the claim is. A claim
 * that cannot be part of a name is hashed.
 */
export function unfinishedName(claim: string): string {
  const plain = /^[\w-]{1,64}$/.test(claim) ? claim : createHash('sha256').update(claim).digest('hex');
  return `.${plain}.unfinished`;
}

/**
 * Whether a file of this size that begins like this is one that was being made for `claim`: nothing is in it but a beginning of that, or,
 * after a power cut, its length alone.
 */
export function isBegunClaim(contents: Buffer, sizeBytes: number, claim: string): boolean {
  const isSize = sizeBytes <= CLAIM_BYTES || sizeBytes === claimSizeBytes(claim);
  const begin = claimBytes(claim).subarray(0, contents.length);
  return isSize && (contents.equals(begin) || contents.every(byte => byte === 0));
}
