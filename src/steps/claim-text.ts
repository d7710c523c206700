/**
 * What a new image file holds until QEMU formats it: whose it is, always as many bytes, so that such a file is known by
 * its size and its words. Pure.
 */

/** The length of every such file. */
export const CLAIM_BYTES = 128;

const BEGIN = 'blocksaga made this file; QEMU has not formatted it yet: ';

/** The contents of a file that was made for `claim`, the name of the image in QEMU. */
export function claimBytes(claim: string): Buffer {
  return Buffer.from(`${BEGIN}${claim}`.padEnd(CLAIM_BYTES - 1).concat('\n'), 'latin1');
}

/** The claim in such contents; undefined for any others. */
export function claimIn(contents: Buffer): string | undefined {
  const text = contents.toString('latin1');
  const claim = text.startsWith(BEGIN) ? text.slice(BEGIN.length).trimEnd() : '';
  return claim !== '' && contents.equals(claimBytes(claim)) ? claim : undefined;
}
