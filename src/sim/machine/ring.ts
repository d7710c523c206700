/** Where the simulated guest writes on each of its disks: a ring of sectors, so that a disk holds the last writes alone. */

export const RING = { offset: 1_048_576, sectorBytes: 512, sectors: 16 } as const;

/** The byte offset of the ring's sector that write s goes to. */
export function sectorOffset(sequence: number, disks: number): number {
  return RING.offset + (Math.floor(sequence / disks) % RING.sectors) * RING.sectorBytes;
}
