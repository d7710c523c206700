/** What is told in sentences beside the disks: what failed, what was undone, what to do next. */
import type { Drawn } from './draw-disks.ts';
import { monoWidth, wrap } from './measure.ts';
import type { FailureAt, Scene } from './scene-types.ts';
import { rect, type Shape, text } from './shapes.ts';
import { headingOfUndos } from './words.ts';

const SIZE = 12.5;
const LINE = 18;

export function drawTelling(scene: Scene, left: number, top: number, width: number): Drawn {
  const shapes: Shape[] = [];
  let y = top;
  const heading = (words: string) => {
    if (y > top) y += 14;
    shapes.push(text(left, y, 'h', words));
    y += 24;
  };
  const paragraph = (words: string, className = 'note', indent = 0) => {
    for (const each of wrap(words, SIZE, width - indent, 5)) {
      shapes.push(text(left + indent, y, className, each));
      y += LINE;
    }
    y += 3;
  };
  const { failure, undoFailure, undos, story } = scene;
  if (failure !== null) {
    heading('What failed');
    paragraph(placeOf(failure), 'note strong t-failed');
    paragraph(failure.message);
    if (failure.qemu !== null && !failure.message.includes(failure.qemu.desc))
      paragraph(`QEMU’s words: “${failure.qemu.desc}”`);
  }
  if (undoFailure !== null) {
    const isSaid = undoFailure.message === failure?.message;
    const reason = isSaid ? ', for the same reason' : '';
    paragraph(`then ${placeOf(undoFailure)}${reason}`, 'note strong t-failed');
    if (!isSaid) paragraph(undoFailure.message);
  }
  heading('What to do now');
  for (const { words, command } of story.next) {
    paragraph(words);
    if (command === null) continue;
    y += 6;
    shapes.push(rect(left, y - 17, Math.min(width, monoWidth(command, 12) + 20), 26, 6, 'box'));
    shapes.push(text(left + 10, y, 'mono', command));
    y += 32;
  }
  const undone = undos.filter(({ order }) => order !== null).sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  if (undone.length > 0) {
    heading(headingOfUndos(undone));
    for (const { order, words, done, description, reached } of undone) {
      const ink = reached === 'failed' ? 't-failed' : 't-back';
      shapes.push(text(left + 12, y, `small strong ${ink}`, String(order), 'end'));
      paragraph(words, `note strong ${ink}`, 22);
      y -= 3;
      const end = reached === 'failed' ? ' This failed.' : ' No end is written.';
      paragraph(reached === 'done' ? done : `${description}${end}`, 'note', 22);
    }
  }
  return { shapes, height: y - top };
}

function placeOf({ disk, isUndo, at }: FailureAt): string {
  return `${disk === null ? '' : `${disk}, `}${isUndo ? 'the undo of ' : ''}“${at}”`;
}
