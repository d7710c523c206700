/**
 * What an answer may differ in without anything else being wrong: each mask takes one such thing out of a text, and two
 * texts that are then alike differ in nothing more. The reasons are in src/sim/DIFFERENCES.md.
 */

interface Mask {
  readonly reason: string;
  readonly strip: (text: string) => string;
}

const MASKS: readonly Mask[] = [
  {
    reason: 'what dirty bitmaps count: named ones nothing in the simulator, those of jobs by chance in QEMU',
    strip: text => text.replace(/"count":"\d+"/g, '"count"'),
  },
];

/** Why two texts differ when a mask explains all of it; undefined when none does, or they are alike. */
export function maskedReason(real: string, sim: string): string | undefined {
  if (real === sim) return undefined;
  const masks = MASKS;
  const strip = (text: string): string => masks.reduce((left, mask) => mask.strip(left), text);
  if (strip(real) !== strip(sim)) return undefined;
  const needed = masks.filter(
    ({ strip: alone }) => without(alone, masks, real) !== without(alone, masks, sim),
  );
  return needed.map(({ reason }) => reason).join('; ');
}

/** The text with every mask but one applied. */
function without(left: Mask['strip'], masks: readonly Mask[], text: string): string {
  return masks.reduce((done, { strip }) => (strip === left ? done : strip(done)), text);
}
