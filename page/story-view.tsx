/** One saga at one moment: what it came to, its line, time, the disks, what is told, and what it can be asked. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { JobsSeen } from '../src/inspect/jobs-seen.ts';
import { factsUpTo } from '../src/railway/headline.ts';
import { sceneAt } from '../src/railway/scene.ts';
import { visible } from '../src/railway/words.ts';
import type { Story } from '../src/story/story.ts';
import { Buttons } from './buttons.tsx';
import { Disks } from './disks.tsx';
import { Line } from './line.tsx';
import { pathOf } from './place.ts';
import { progressOf } from './progress.ts';
import { Steps } from './steps.tsx';
import { Telling } from './telling.tsx';
import { Time } from './time.tsx';
import { Wire } from './wire.tsx';

interface Props {
  readonly story: Story;
  /** The name of its journal, where the page shows several. */
  readonly of: string | null;
  readonly atMs: number | null;
  readonly go: (atMs: number | null) => void;
  readonly isLive: boolean;
  /** What QEMU has said of its jobs lately. */
  readonly looks?: readonly JobsSeen[];
  /** What went over its monitor, where the page has no server to ask for it. */
  readonly wire?: readonly string[] | null;
}

export function StoryView({ story, of, atMs, go, isLive, looks = [], wire }: Props) {
  const scene = useMemo(() => sceneAt(story, atMs ?? undefined), [story, atMs]);
  const isNow = atMs === null && !scene.isEnded;
  const progress = useMemo(() => (isNow ? progressOf(story, looks) : new Map()), [story, looks, isNow]);
  const { headline } = scene;
  const now = useNow(isNow && isLive && story.isRunning);
  return (
    <article class="story" aria-labelledby="title">
      <header class="head">
        <p class="facts">
          {now === null ? headline.facts : factsUpTo(scene, now)}{' '}
          <span class="mono">
            saga {visible(story.saga)}
            {of === null ? null : <> · {visible(of)}</>}
          </span>
        </p>
        <h2 id="title">{visible(headline.title)}</h2>
        <p class="outcome" role="status">
          <span class={`pill p-${headline.tone}`}>{headline.label}</span> {visible(headline.sentence)}
        </p>
      </header>
      <Line scene={scene} />
      <Time story={story} atMs={atMs} go={go} />
      {isLive ? <Buttons story={story} of={of} /> : null}
      <div class="two">
        <Disks scene={scene} progress={progress} />
        <Telling scene={scene} />
      </div>
      <Steps scene={scene} />
      {isLive || wire != null ? (
        <Wire
          saga={story.saga}
          of={of}
          beganAtMs={story.createdAtMs}
          atMs={atMs}
          isEnded={story.endedAtMs !== null}
          saved={wire}
        />
      ) : null}
      {isLive ? (
        <p class="save">
          Save it:{' '}
          <a href={pathOf('saved', { saga: story.saga, of })} download>
            a page that opens offline
          </a>
          ,{' '}
          <a href={pathOf('picture', { saga: story.saga, of })} download>
            a picture
          </a>
        </p>
      ) : null}
    </article>
  );
}

/** The time of this machine, while it is asked for; null else. */
function useNow(isAsked: boolean): number | null {
  const [now, setNow] = useState<number | null>(null);
  useEffect(() => {
    if (!isAsked) return setNow(null);
    const tick = () => setNow(Date.now());
    tick();
    const timer = setInterval(tick, 1_000);
    return () => clearInterval(timer);
  }, [isAsked]);
  return now;
}
