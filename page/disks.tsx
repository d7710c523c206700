/** Each disk as its chain of images. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { drawDisks, PAGE_TOP } from '../src/railway/draw-disks.ts';
import type { DiskProgress, Scene } from '../src/railway/scene-types.ts';
import { visible } from '../src/railway/words.ts';
import { Drawn } from './drawn.tsx';

interface Props {
  readonly scene: Scene;
  readonly progress: ReadonlyMap<string, DiskProgress>;
}

export function Disks({ scene, progress }: Props) {
  const frame = useRef<HTMLElement>(null);
  const [room, setRoom] = useState(800);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(Math.round(entry?.contentRect.width ?? 800)));
    if (frame.current !== null) observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);
  // On a phone the drawing leaves out what lies below; what is wider still can be pushed.
  const width = room < 440 ? Math.max(room, 340) : Math.max(room, 560);
  const { shapes, height } = drawDisks(scene, 2, PAGE_TOP, width - 4, progress);
  return (
    <section
      class="disks"
      ref={frame}
      aria-label={scene.isEnded ? 'Where every disk is now' : 'Where every disk is'}
    >
      <svg
        class="railway"
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        height={height}
        aria-hidden="true"
      >
        <Drawn shapes={shapes} />
      </svg>
      <ul class="for-ears">
        {scene.disks.map(({ disk, on, imageIs }) => (
          <li key={disk.disk}>
            {visible(
              `${disk.disk}: the guest is on ${on ?? 'an image that the journal cannot tell'}; ${disk.image}: ${imageIs}${progressInWords(progress.get(disk.disk))}`,
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function progressInWords(progress: DiskProgress | undefined): string {
  return progress === undefined ? '' : `, ${progress.amount}, ${progress.pace}`;
}
