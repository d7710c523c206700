/** What the server tells, as it changes. The line is taken up again by the browser where it breaks. */
import type { FleetTold } from '../src/inspect/fleet-told.ts';
import type { FindingTold } from '../src/inspect/found-told.ts';
import type { JobsSeen } from '../src/inspect/jobs-seen.ts';
import type { Listed } from '../src/inspect/listed-saga.ts';
import type { Trouble } from '../src/inspect/trouble.ts';
import type { Act, LabChoice, LabRun, LiveTold } from '../src/lab/lab-types.ts';
import type { Story } from '../src/story/story.ts';
import { pathOf, type SagaAt } from './place.ts';

export interface Refused {
  readonly refused: { readonly message: string };
}

export interface LabOffers {
  readonly profiles: readonly string[];
  readonly first: LabRun | null;
}

export interface Heard {
  list(sagas: readonly Listed[] | Refused): void;
  /** Whether there are older ones than are listed. */
  more(isMore: boolean): void;
  story(story: Story | Refused): void;
  jobs(seen: JobsSeen): void;
  /** Journals that cannot be read, beside those that are shown. */
  troubles(troubles: readonly Trouble[]): void;
  /** Never, where the page has no fleet. */
  fleet(told: FleetTold): void;
  line(isUp: boolean): void;
}

/** Listens for the list, with so many hundreds of older ones, and for one saga; returns what ends that. */
export function listen(
  { saga, of }: { readonly saga: string | null; readonly of: string | null },
  older: number,
  heard: Heard,
): () => void {
  const query = new URLSearchParams({
    ...(saga === null ? {} : { saga }),
    ...(of === null ? {} : { of }),
    older: String(older),
  });
  const source = new EventSource(`news?${query}`);
  source.addEventListener('more', event => heard.more(JSON.parse(event.data) === true));
  source.addEventListener('list', event => heard.list(JSON.parse(event.data)));
  source.addEventListener('story', event => heard.story(JSON.parse(event.data)));
  source.addEventListener('troubles', event => heard.troubles(JSON.parse(event.data)));
  source.addEventListener('fleet', event => heard.fleet(JSON.parse(event.data)));
  source.addEventListener('jobs', event => {
    const seen: JobsSeen | null | Refused = JSON.parse(event.data);
    if (seen !== null && !isRefused(seen)) heard.jobs(seen);
  });
  source.addEventListener('open', () => heard.line(true));
  source.addEventListener('error', () => heard.line(false));
  return () => source.close();
}

/** Asks a saga through its journal; gives why it was refused, or null. */
export function ask(saga: SagaAt, signal: string, value: number | null): Promise<string | null> {
  return post('ask', saga, signal, value);
}

/** Makes the page's process the one of a saga; gives why that was refused, or null. */
export function resume(saga: SagaAt, how: string): Promise<string | null> {
  return post('resume', saga, how, null);
}

async function post(
  what: 'ask' | 'resume',
  saga: SagaAt,
  signal: string,
  value: number | null,
): Promise<string | null> {
  const answer = await fetch(pathOf(what, saga), {
    method: 'POST',
    body: JSON.stringify({ signal, value }),
  });
  if (answer.ok) return null;
  const told: Refused = await answer.json();
  return told.refused.message;
}

/** What doctor finds now in the journal and among the files of its sagas. */
export async function findings(): Promise<readonly FindingTold[] | Refused> {
  const answer = await fetch('doctor');
  return answer.json();
}

/** What the laboratory offers; null where the page has none. */
export async function labOffers(): Promise<LabOffers | null> {
  const answer = await fetch('lab');
  return answer.ok ? answer.json() : null;
}

/** Runs what was chosen, to its end. */
export async function runLab(choice: LabChoice): Promise<LabRun | Refused> {
  const answer = await fetch('lab', { method: 'POST', body: JSON.stringify(choice) });
  return answer.json();
}

/** Begins a run that is watched, up to a moment of its time, or moves one on. */
export async function askLive(
  asked:
    | { readonly begin: LabChoice; readonly untilMs: number }
    | { readonly run: number; readonly act: Act },
): Promise<LiveTold | Refused> {
  const answer = await fetch('lab/live', { method: 'POST', body: JSON.stringify(asked) });
  return answer.json();
}

export function isRefused(told: object): told is Refused {
  return 'refused' in told;
}
