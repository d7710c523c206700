/**
 * What an administrator finds out about a third party's overlays that stand above images of a saga whose QEMU is gone: whether its guest
 * ran on them last, by what it wrote. Judges nothing.
 */
import type { SaidAbove } from '../../engine/recovery/find-above.ts';
import type { Sim } from '../../sim/create-sim.ts';
import { judgeWrites } from '../laws/judge-writes.ts';
import { type Asked, fileInChain, frontIn, newSetsOf, theirFile } from '../scenario/wish-files.ts';

export function lastAbove(sim: Sim, asked: Asked): SaidAbove {
  const { host } = sim.world;
  const { guest, wish, coveredFirst = [] } = asked;
  const newest = (file: string) => judgeWrites(new Map([[0, sim.world.readFile(file)]]), guest.disks).upTo;
  const sidesOf = (index: number) => [
    fileInChain(guest, index, 0),
    ...newSetsOf(asked).map(set => frontIn(set, index)),
  ];
  // Those that the saga has found in front are of its plan.
  const found = wish.named
    .filter(index => !coveredFirst.includes(index))
    .flatMap(index => {
      const file = theirFile(index);
      const over = host.image(file)?.backing;
      return over !== undefined && sidesOf(index).includes(over) ? [{ file, over }] : [];
    });
  const isOn = ({ file, over }: (typeof found)[0]) => newest(file) > newest(over);
  return {
    ranOn: found.filter(isOn).map(({ file }) => file),
    notOn: found.filter(each => !isOn(each)).map(({ file }) => file),
  };
}
