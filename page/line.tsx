/** The drawing of the line; on a narrow screen it can be pushed sideways, and begins where the saga is. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { drawLinePicture } from '../src/railway/draw.ts';
import { signsOf } from '../src/railway/draw-legend.ts';
import type { Scene } from '../src/railway/scene-types.ts';
import { Drawn } from './drawn.tsx';

export function Line({ scene }: { readonly scene: Scene }) {
  const frame = useRef<HTMLElement>(null);
  const [room, setRoom] = useState(1000);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(Math.round(entry?.contentRect.width ?? 1000)));
    if (frame.current !== null) {
      observer.observe(frame.current);
      frame.current.tabIndex = 0; // what scrolls is reached by keyboard
    }
    return () => observer.disconnect();
  }, []);
  const { shapes, width, height, top, at } = drawLinePicture(scene, room);
  useEffect(() => {
    const element = frame.current;
    if (element !== null && width > element.clientWidth) element.scrollLeft = at - element.clientWidth / 2;
  }, [at, width]);
  return (
    <>
      <section class="line" ref={frame} aria-label="The line of steps; the same as a list is below">
        <svg
          class="railway"
          viewBox={`0 ${top} ${width} ${height}`}
          width={width}
          height={height}
          aria-hidden="true"
        >
          <Drawn shapes={shapes} />
        </svg>
      </section>
      <p class="legend" aria-hidden="true">
        {signsOf(scene).map(({ words, sign }) => (
          <span key={words}>
            <svg class="railway" viewBox="-10 -9 20 18" width="20" height="18" aria-hidden="true">
              <Drawn shapes={sign(0, 0)} />
            </svg>
            {words}
          </span>
        ))}
      </p>
    </>
  );
}
