/** What the saga can be asked now; each button says what will happen before it does. */
import { useEffect, useState } from 'preact/hooks';
import { visible } from '../src/railway/words.ts';
import type { Story } from '../src/story/story.ts';
import { ask, resume } from './live.ts';

interface Choice {
  readonly name: string;
  readonly willHappen: string;
}

const CHOICES: Readonly<Record<string, Choice>> = {
  pivot: {
    name: 'Switch all disks',
    willHappen: 'The guest is paused for a moment, and all its disks move to their new images.',
  },
  keepCopies: {
    name: 'Keep the copies',
    willHappen:
      'The mirrors end in one pause; the copies stay as one instant of all disks, and the guest stays where it is.',
  },
  keepSnapshot: {
    name: 'Keep the snapshot',
    willHappen: 'The mirrors are taken away; the disks stay on their overlays.',
  },
  abort: {
    name: 'Roll back',
    willHappen: 'All that has begun is undone; every disk stays on its old image.',
  },
};

/** Of a saga that no process runs: the page's own becomes its. */
const RESUMES: Readonly<Record<string, Choice>> = {
  resume: { name: 'Resume', willHappen: '' },
  pivot: { name: 'Resume and switch', willHappen: CHOICES['pivot']?.willHappen ?? '' },
  keepCopies: { name: 'Resume and keep the copies', willHappen: CHOICES['keepCopies']?.willHappen ?? '' },
  keepSnapshot: {
    name: 'Resume and keep the snapshot',
    willHappen: CHOICES['keepSnapshot']?.willHappen ?? '',
  },
  abort: { name: 'Resume and roll back', willHappen: CHOICES['abort']?.willHappen ?? '' },
};

interface Offered extends Choice {
  readonly signal: string;
}

/** What it can be asked now, or how it can be resumed. */
function offeredBy({ asks, resumes, address }: Story): readonly Offered[] {
  const becomes = `The process of “blocksaga inspect” becomes that of this saga: it asks the QEMU at ${address} what is there, and takes the saga up where its records end. Ctrl-C there waits for its end. If QEMU has ended, nothing is done but to say so.`;
  return [
    ...Object.entries(CHOICES)
      .filter(([signal]) => asks.includes(signal))
      .map(([signal, choice]) => ({ signal, ...choice })),
    ...Object.entries(RESUMES)
      .filter(([signal]) => resumes.includes(signal))
      .map(([signal, { name, willHappen }]) => ({
        signal,
        name,
        willHappen: `${becomes} ${willHappen}`.trim(),
      })),
  ];
}

export function Buttons({ story, of }: { readonly story: Story; readonly of: string | null }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [told, setTold] = useState<string | null>(null);
  const [speed, setSpeed] = useState('');
  // What was answered is old as soon as the saga has ended.
  useEffect(() => {
    if (story.endedAtMs !== null) setTold(null);
  }, [story.endedAtMs]);
  const choices = offeredBy(story);
  const isResume = story.resumes.length > 0;
  const at = { saga: story.saga, of };
  const hasSpeed = story.asks.includes('setSpeed');
  if (choices.length === 0 && !hasSpeed && told === null) return null;
  const send = async (signal: string, value: number | null) => {
    setChosen(null);
    if (isResume) setTold('Asking its QEMU …');
    const refused = await (isResume ? resume(at, signal) : ask(at, signal, value));
    setTold(refused ?? (isResume ? 'Resumed here.' : 'Asked. The saga hears it within a second.'));
  };
  const choice = choices.find(({ signal }) => signal === chosen);
  return (
    <section class="buttons" aria-label="What you can ask of it">
      {choices.map(({ signal, name }) => (
        <button
          type="button"
          key={signal}
          aria-expanded={chosen === signal}
          onClick={() => setChosen(chosen === signal ? null : signal)}
        >
          {name} …
        </button>
      ))}
      {hasSpeed ? (
        <form
          onSubmit={event => {
            event.preventDefault();
            void send('setSpeed', Math.round(Number(speed) * 2 ** 20));
          }}
        >
          <label>
            Speed per disk, MiB/s{' '}
            <input
              type="number"
              min="0"
              step="any"
              required
              value={speed}
              placeholder="0 = no limit"
              onInput={event => setSpeed(event.currentTarget.value)}
            />
          </label>
          <button type="submit">Set</button>
        </form>
      ) : null}
      {choice === undefined || chosen === null ? null : (
        <p class="confirm">
          {visible(choice.willHappen)}{' '}
          <button type="button" class="strong" onClick={() => void send(chosen, null)}>
            {choice.name}
          </button>{' '}
          <button type="button" onClick={() => setChosen(null)}>
            Not now
          </button>
        </p>
      )}
      <p class="answer" role="status">
        {told === null ? null : visible(told)}
      </p>
    </section>
  );
}
