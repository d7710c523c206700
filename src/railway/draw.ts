/** The whole picture of a scene, as it is saved to a file: what it came to, the line, the disks, what is told of it. */
import { drawDisks } from './draw-disks.ts';
import { drawLegend } from './draw-legend.ts';
import { drawLine } from './draw-line.ts';
import { drawSteps } from './draw-steps.ts';
import { drawTelling } from './draw-telling.ts';
import { TOP } from './lanes.ts';
import { widthOf, wrap } from './measure.ts';
import { leastWidth } from './place-stations.ts';
import type { Scene } from './scene-types.ts';
import { line, markupOf, rect, type Shape, shape, text } from './shapes.ts';
import { coloursOf, DRAWING } from './style.ts';

const MARGIN = 48;
const STATION = 84;
const WIDTH_MIN = 1400;
const TELLING = 392;

/** The picture as a file of its own: it names no other file, and is readable in light and in dark. */
export function svgOf(scene: Scene): string {
  const { title, label, sentence } = scene.headline;
  return fileOf(drawScene(scene), `${title}. ${label}: ${sentence}`, sentencesOf(scene).join(' '));
}

/** The same for a chart that nothing has run yet: the line, and what each step does. */
export function svgOfChart(scene: Scene, title: string): string {
  const steps = scene.stations.map(({ words, description }) => `${words}: ${description}`);
  return fileOf(drawChart(scene, title), `${title}. ${scene.story.about}`, steps.join(' '));
}

function fileOf({ shapes, width, height }: Picture, title: string, description: string): string {
  const picture = shape(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      class: 'railway',
      viewBox: `0 0 ${width} ${height}`,
      ...{ width, height, role: 'img' },
    },
    shape('title', {}, title),
    shape('desc', {}, description),
    // In a file of XML a line break would be told as what it is.
    shape('style', {}, `${coloursOf('.railway')}${DRAWING}`.replaceAll('\n', '')),
    rect(0, 0, width, height, 0, 'ground'),
    ...shapes,
  );
  return `${markupOf(picture)}\n`;
}

interface Picture {
  readonly shapes: readonly Shape[];
  readonly width: number;
  readonly height: number;
}

function widthFor({ stations }: Scene): number {
  return Math.max(WIDTH_MIN, 2 * MARGIN + 90 + stations.length * STATION);
}

function drawChart(scene: Scene, title: string): Picture {
  const width = widthFor(scene);
  const right = width - MARGIN;
  const { shapes: drawn, lanes } = drawLine(scene, MARGIN + 44, right);
  const steps = drawSteps(scene, MARGIN, lanes.end + 34, right - MARGIN);
  const shapes = [
    text(MARGIN, 52, 'title', title),
    text(MARGIN, 83.5, 'sentence', scene.story.about),
    ...drawn,
    line(MARGIN, lanes.end, right, lanes.end, 'rule'),
    ...steps.shapes,
  ];
  return { shapes, width, height: lanes.end + 34 + steps.height };
}

function drawScene(scene: Scene): Picture {
  const width = widthFor(scene);
  const right = width - MARGIN;
  const { shapes: drawn, lanes } = drawLine(scene, MARGIN + 44, right);
  const top = lanes.end + 34;
  const tellingAt = right - TELLING;
  const disks = drawDisks(scene, MARGIN, top, tellingAt - MARGIN - 40);
  const telling = drawTelling(scene, tellingAt, top, TELLING);
  const shapes = [
    ...drawHead(scene, right),
    ...drawn,
    ...drawLegend(scene, MARGIN + 4, right, lanes.end - 14),
    line(MARGIN, lanes.end, right, lanes.end, 'rule'),
    ...disks.shapes,
    ...telling.shapes,
  ];
  return { shapes, width, height: top + Math.max(disks.height, telling.height) + 24 };
}

/** What a page's drawing leaves free beside the line. */
const PAGE_LEFT = 46;
const PAGE_RIGHT = 6;
/** A page writes what the marks mean below the drawing. */
const LEGEND = 28;

/** The line alone, for a page: as wide as there is room, but no narrower than its names need. */
export interface LinePicture extends Picture {
  /** Where it begins in the drawing. */
  readonly top: number;
  /** Where the saga is: what a narrow page shows first. */
  readonly at: number;
}

export function drawLinePicture(scene: Scene, room: number): LinePicture {
  const width = Math.max(room, Math.ceil(PAGE_LEFT + leastWidth(scene) + PAGE_RIGHT));
  const { shapes, lanes, from, to } = drawLine(scene, PAGE_LEFT, width - PAGE_RIGHT, room);
  const at = to - from > room ? to - room / 2 + PAGE_RIGHT : (from + to) / 2;
  return { shapes, width, height: lanes.end - TOP - LEGEND, top: TOP, at };
}

function drawHead({ headline, story }: Scene, right: number): readonly Shape[] {
  const { title, label, tone, sentence, facts } = headline;
  const wide = widthOf(label, 13, true) + 22;
  return [
    text(MARGIN, 52, 'title', title),
    rect(MARGIN, 66, wide, 25, 12.5, `pill-${tone}`),
    text(MARGIN + wide / 2, 83, `note strong t-${tone}`, label, 'middle'),
    ...wrap(sentence, 14.5, right - MARGIN - wide - 24, 2).map((each, at) =>
      text(MARGIN + wide + 12, 83.5 + at * 18.5, 'sentence', each),
    ),
    text(right, 52, 'mono muted', `saga ${story.saga}`, 'end'),
    ...(facts === '' ? [] : [text(right, 34, 'small muted', facts, 'end')]),
  ];
}

/** The same for ears: the stations in order, and what became of the disks. */
function sentencesOf({ stations, undos, disks }: Scene): readonly string[] {
  const steps = stations.map(({ words, reached }) => `${words}: ${reached}.`);
  const back = undos
    .filter(({ order }) => order !== null)
    .sort((a, b) => (a.order ?? 0) - (b.order ?? 0))
    .map(({ words, reached }) => `undo of ${words}: ${reached}.`);
  const where = disks.map(
    ({ disk, on }) => `${disk.disk} is on ${on ?? 'an image that only QEMU can tell'}.`,
  );
  return [...steps, ...back, ...where];
}
