/** What failed, with QEMU's words, beside the curve on which the saga left its line. */
import { Y } from './lanes.ts';
import { widthOf, wrap } from './measure.ts';
import type { Scene } from './scene-types.ts';
import { rect, type Shape, text } from './shapes.ts';

const WIDTH = 400;

export function drawFailure(
  { failure, turn, stations }: Scene,
  xs: readonly number[],
  right: number,
): readonly Shape[] {
  if (failure === null || failure.isUndo) return [];
  const failed = stations.findLastIndex(({ reached }) => reached === 'failed');
  const station =
    turn?.station ?? (failed < 0 ? stations.findLastIndex(({ reached }) => reached !== 'ahead') : failed);
  const x = (xs[station] ?? 0) + 62;
  const said = failure.qemu === null ? failure.message : failure.qemu.desc;
  const head =
    failure.qemu === null
      ? (failure.disk ?? failure.code)
      : `${failure.disk === null ? '' : `${failure.disk}: `}QEMU answered ${failure.qemu.command}`;
  const lines = wrap(said, 13, WIDTH - 28, 2);
  const width = Math.min(
    WIDTH,
    Math.max(widthOf(head, 11.5), ...lines.map(each => widthOf(each, 13, true))) + 28,
  );
  const left = Math.min(x, right - width);
  return [
    rect(left, Y.callout, width, 30 + lines.length * 17, 8, 'callout'),
    text(left + 14, Y.callout + 18, 'small t-failed', head),
    ...lines.map((each, at) =>
      text(
        left + 14,
        Y.callout + 36 + at * 17,
        'note strong t-failed',
        failure.qemu === null ? each : quoted(each, at, lines.length),
      ),
    ),
  ];
}

function quoted(words: string, at: number, count: number): string {
  return `${at === 0 ? '“' : ''}${words}${at === count - 1 ? '”' : ''}`;
}
