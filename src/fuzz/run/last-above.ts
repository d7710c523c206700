/**
 * What an administrator finds out about a third party's overlays that stand above images of a saga whose QEMU is gone: whether its guest
 * ran on them last, by what it wrote. Judges nothing.
 */

import type { SaidAbove } from '../../engine/recovery/find-above.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { namedBelow } from '../account/file-headers.ts';
import { newestShown } from '../laws/judge-writes.ts';
import { type Asked, fileInChain, frontIn, isTheirOverlay, newSetsOf } from '../scenario/wish-files.ts';

export function lastAbove(sim: Sim, asked: Asked): SaidAbove {
  const { host, moved } = sim.world;
  const { guest, wish, coveredFirst = [] } = asked;
  const { acknowledged } = sim.world.guest;
  const newest = (file: string) => newestShown(sim.world.readFile(file), acknowledged);
  const sidesOf = (index: number) => [
    fileInChain(guest, index, 0),
    ...newSetsOf(asked).map(set => frontIn(set, index)),
  ];
  const theirs = [...host.files.keys()].filter(isTheirOverlay);
  // Those that have their first names again are no overlays but images of the saga's.
  const elsewhere = moved.flatMap(({ path, to, back }) =>
    [to ?? path, back ?? path].filter(file => file !== path),
  );
  // Those that the saga has found in front are of its plan.
  const found = wish.named
    .filter(index => !coveredFirst.includes(index))
    .flatMap(index => {
      // Images of the saga's are found under the names that third parties gave to them, too.
      const names = new Set([...theirs, ...elsewhere]);
      const sides = sidesOf(index);
      return [...names].flatMap(file => {
        const over = namedBelow(host.image(file));
        return over !== undefined && sides.includes(over) ? [{ file, sides }] : [];
      });
    });
  const isOn = ({ file, sides }: (typeof found)[0]) => {
    const others = found.filter(each => each.sides === sides && each.file !== file);
    return [...sides, ...others.map(each => each.file)].every(each => newest(file) > newest(each));
  };
  return {
    ranOn: found.filter(isOn).map(({ file }) => file),
    notOn: found.filter(each => !isOn(each)).map(({ file }) => file),
  };
}
