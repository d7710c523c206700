/** The laboratory: a simulated guest, an operation, faults to drop on its steps; the run as a story, and the laws as lights. */
import { useEffect, useState } from 'preact/hooks';
import { type Act, type LabChoice, type LabRun, type LiveTold, OPERATIONS } from '../src/lab/lab-types.ts';
import { sceneAt } from '../src/railway/scene.ts';
import { visible } from '../src/railway/words.ts';
import { chosen } from './chosen.ts';
import { type Fault, FaultForm, OF_JOB, Palette, placeUnder } from './lab-faults.tsx';
import { LabLive } from './lab-live.tsx';
import { Lights } from './lights.tsx';
import { askLive, isRefused, runLab } from './live.ts';
import { StoryView } from './story-view.tsx';

/** How often a run in slow motion is looked at. */
const LOOK_MS = 120;

const FIRST: LabChoice = { seed: 1, profile: '7.2', disks: 3, layers: 1, operation: 'copy', faults: [] };

interface Props {
  readonly profiles: readonly string[];
  readonly first: LabRun | null;
}

export function Lab({ profiles, first }: Props) {
  const [choice, setChoice] = useState<LabChoice>(readLink() ?? FIRST);
  const [run, setRun] = useState<LabRun | null>(first);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [steps, setSteps] = useState<readonly string[]>([]);
  const [atMs, setAtMs] = useState<number | null>(null);
  const [live, setLive] = useState<LiveTold | null>(null);
  const [factor, setFactor] = useState(200);
  const [taken, take] = useState<Fault['kind'] | null>(null);
  const choose = (next: LabChoice) => {
    setChoice(next);
    history.replaceState(null, '', `#lab=${encodeURIComponent(JSON.stringify(next))}`);
  };
  const start = async (next: LabChoice) => {
    choose(next);
    setLive(null);
    const told = await runLab(next);
    setAtMs(null);
    setTrouble(isRefused(told) ? told.refused.message : null);
    if (!isRefused(told)) setRun(told);
    const whole = next.faults.length === 0 ? told : await runLab({ ...next, faults: [] });
    if (!isRefused(whole)) setSteps(whole.story?.stations.map(({ path }) => path.at(-1) ?? '') ?? []);
  };
  useEffect(() => {
    if (first === null) void start(choice);
  }, []);
  const watch = async (asked: Parameters<typeof askLive>[0]) => {
    const told = await askLive(asked);
    setTrouble(isRefused(told) ? told.refused.message : null);
    setLive(isRefused(told) ? null : told);
    setAtMs(null);
  };
  const act = (how: Act) => (live === null ? undefined : void watch({ run: live.run, act: how }));
  useEffect(() => {
    if (live?.view.isMoving !== true) return;
    const timer = setTimeout(() => act({ how: 'look' }), LOOK_MS);
    return () => clearTimeout(timer);
  }, [live]);
  const shown = live?.view ?? run;
  const drop = (event: MouseEvent) => {
    const place = taken === null ? null : placeUnder(event.target, event.clientX, event.clientY);
    if (taken === null || place === null || shown?.story == null) return;
    event.preventDefault();
    take(null);
    const { stations } = sceneAt(shown.story);
    const ahead = stations.findIndex(({ reached }) => reached === 'ahead');
    const at = 'station' in place ? place.station : live === null ? -1 : ahead;
    if (live !== null && stations[at]?.reached !== 'ahead') {
      setTrouble('That step is behind this run. Drop it on one that is ahead, or begin again.');
      return;
    }
    const step = OF_JOB.has(taken) ? '' : (shown.story.stations[at]?.path.at(-1) ?? '');
    const disk = 'disk' in place ? Math.min(place.disk, choice.disks - 1) : 0;
    const next = { ...choice, faults: [...choice.faults, { kind: taken, step, disk, percent: 37 }] };
    if (live === null) return void start(next);
    choose(next);
    void watch({ begin: next, untilMs: live.view.atMs });
  };
  const change = (part: Partial<LabChoice>) => void start({ ...choice, ...part });
  const names = Array.from({ length: choice.disks }, (_, at) => `dev${at}`);
  return (
    <div class="alone lab">
      <header>
        <h1>Laboratory</h1>
        <p class="quiet">
          A simulated QEMU with a writing guest, on virtual time. Drop faults on it, and watch what becomes of
          its disks.
        </p>
      </header>
      <form class="choice" onSubmit={event => event.preventDefault()}>
        <Choose name="QEMU" value={choice.profile} of={profiles} set={profile => change({ profile })} />
        <Choose
          name="Operation"
          value={choice.operation}
          of={OPERATIONS}
          set={operation => change({ operation })}
        />
        <Choose
          name="Disks"
          value={String(choice.disks)}
          of={counts(8)}
          set={disks => change({ disks: Number(disks), faults: [] })}
        />
        <Choose
          name="Images below each"
          value={String(choice.layers)}
          of={counts(4)}
          set={layers => change({ layers: Number(layers) })}
        />
        <label>
          Seed
          <input
            type="number"
            min="1"
            value={choice.seed}
            onChange={event => change({ seed: Math.max(1, Number(event.currentTarget.value) || 1) })}
          />
        </label>
      </form>
      <Palette taken={taken} take={take} />
      <section class="faults" aria-label="Faults">
        {choice.faults.map((fault, at) => (
          <FaultForm
            key={`${at} ${fault.kind}`}
            fault={fault}
            disks={names}
            steps={steps}
            set={next => change({ faults: choice.faults.toSpliced(at, 1, next) })}
            remove={() => change({ faults: choice.faults.toSpliced(at, 1) })}
          />
        ))}
        <button
          type="button"
          disabled={choice.faults.length >= 8}
          onClick={() =>
            change({
              faults: [
                ...choice.faults,
                {
                  kind: 'jobError',
                  step: '',
                  disk: 0,
                  percent: 37,
                },
              ],
            })
          }
        >
          Add a fault
        </button>
      </section>
      {trouble === null ? null : (
        <p class="notice" role="alert">
          {visible(trouble)}
        </p>
      )}
      <LabLive
        view={live?.view ?? null}
        factor={factor}
        setFactor={next => {
          setFactor(next);
          if (live?.view.isMoving) act({ how: 'slow', factor: next });
        }}
        begin={() => void watch({ begin: choice, untilMs: 0 })}
        act={act}
        end={() => setLive(null)}
      />
      {shown === null || live !== null ? null : <Lights run={shown} />}
      {shown?.refusal == null ? null : (
        <p class="notice" role="status">
          Refused before anything was touched: {visible(shown.refusal)}
        </p>
      )}
      {shown?.story == null ? null : (
        // biome-ignore lint/a11y/noStaticElementInteractions: what is dropped here can be chosen in the form above too
        <div
          class={taken === null ? undefined : 'droppable'}
          onDragOver={event => event.preventDefault()}
          onDrop={drop}
          onClick={drop}
          onKeyDown={event => event.key === 'Escape' && take(null)}
        >
          <StoryView
            story={shown.story}
            of={null}
            atMs={atMs}
            go={setAtMs}
            isLive={false}
            looks={live?.view.jobs == null ? [] : [live.view.jobs]}
          />
        </div>
      )}
      {live === null ? null : <Lights run={live.view} />}
      {shown === null ? null : (
        <details class="happened">
          <summary>Everything that happened</summary>
          <ol>
            {shown.happened
              .flatMap(words => words.split('\n'))
              .map((words, at) => (
                <li key={`${at} ${words}`}>{visible(words)}</li>
              ))}
          </ol>
        </details>
      )}
    </div>
  );
}

interface ChooseProps<W extends string> {
  readonly name: string;
  readonly value: W;
  readonly of: readonly W[];
  readonly set: (value: W) => void;
}

function Choose<W extends string>({ name, value, of, set }: ChooseProps<W>) {
  return (
    <label>
      {name}
      <select value={value} onChange={event => set(chosen(of, event.currentTarget.value))}>
        {of.map(each => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}

function counts(most: number): readonly string[] {
  return Array.from({ length: most }, (_, at) => String(at + 1));
}

/** A link names the whole run: the server looks at what it says. */
function readLink(): LabChoice | null {
  const [, told] = /^#lab=(.+)$/.exec(location.hash) ?? [];
  if (told === undefined) return null;
  try {
    return JSON.parse(decodeURIComponent(told)) as LabChoice;
  } catch {
    return null; // a link that was cut off leads to the first run
  }
}
