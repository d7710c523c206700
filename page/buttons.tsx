/** What the saga can be asked now; each button says what will happen before it does. */
import { useState } from 'preact/hooks';
import type { Story } from '../src/story/story.ts';
import { ask } from './live.ts';

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

export function Buttons({ story }: { readonly story: Story }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [told, setTold] = useState<string | null>(null);
  const [speed, setSpeed] = useState('');
  const choices = Object.entries(CHOICES).filter(([signal]) => story.asks.includes(signal));
  const hasSpeed = story.asks.includes('setSpeed');
  if (choices.length === 0 && !hasSpeed) return null;
  const send = async (signal: string, value: number | null) => {
    setChosen(null);
    const refused = await ask(story.saga, signal, value);
    setTold(refused ?? 'Asked. The saga hears it within a second.');
  };
  const choice = chosen === null ? undefined : CHOICES[chosen];
  return (
    <section class="buttons" aria-label="What you can ask of it">
      {choices.map(([signal, { name }]) => (
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
          {choice.willHappen}{' '}
          <button type="button" class="strong" onClick={() => void send(chosen, null)}>
            {choice.name}
          </button>{' '}
          <button type="button" onClick={() => setChosen(null)}>
            Not now
          </button>
        </p>
      )}
      <p class="answer" role="status">
        {told}
      </p>
    </section>
  );
}
