/** What each step of a chart does and what its undo does, in columns below the line. */
import type { Drawn } from './draw-disks.ts';
import { wrap } from './measure.ts';
import type { Scene } from './scene-types.ts';
import { type Shape, text } from './shapes.ts';

const COLUMNS = 3;
const GAP = 44;

export function drawSteps({ stations, undos }: Scene, left: number, top: number, width: number): Drawn {
  const wide = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  const told = stations.map(({ words, description }, at) => {
    const undo = undos.find(({ station }) => station === at)?.description ?? '';
    return {
      ...{ name: `${at + 1}  ${words}`, does: wrap(description, 12.5, wide) },
      undoes: undo === '' ? [] : wrap(`Undo: ${undo}`, 12.5, wide),
    };
  });
  const most = Math.ceil(told.length / COLUMNS);
  const shapes: Shape[] = [];
  let bottom = top;
  for (let column = 0; column < COLUMNS; column += 1) {
    const x = left + column * (wide + GAP);
    let y = top;
    for (const { name, does, undoes } of told.slice(column * most, (column + 1) * most)) {
      shapes.push(text(x, y, 'note strong', name));
      shapes.push(...does.map((each, at) => text(x, y + 18 * (at + 1), 'note', each)));
      y += 18 * does.length;
      shapes.push(...undoes.map((each, at) => text(x, y + 18 * (at + 1), 'note t-back', each)));
      y += 18 * undoes.length + 30;
    }
    bottom = Math.max(bottom, y);
  }
  return { shapes, height: bottom - top };
}
