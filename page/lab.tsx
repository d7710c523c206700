/** The laboratory: a simulated guest, an operation, faults to drop on its steps; the run as a story, and the laws as lights. */
import { useEffect, useState } from 'preact/hooks';
import { FAULT_KINDS, type LabChoice, type LabRun, OPERATIONS } from '../src/lab/lab-types.ts';
import { visible } from '../src/railway/words.ts';
import { Lights } from './lights.tsx';
import { isRefused, runLab } from './live.ts';
import { StoryView } from './story-view.tsx';

type Fault = LabChoice['faults'][number];

const FAULT_WORDS: Readonly<Record<Fault['kind'], string>> = {
  error: 'QEMU refuses a command',
  lostReply: 'a reply is lost',
  cut: 'the connection is cut',
  jobError: 'the block job fails',
  neverReady: 'the block job is never ready',
  full: 'the disk of the targets is full',
  cont: 'a third party sends cont',
  killQemu: 'QEMU is killed',
  killBlocksaga: 'blocksaga is killed',
  killHost: 'the host loses its power',
};
/** Which of them are of one disk. */
const OF_DISK: ReadonlySet<Fault['kind']> = new Set(['error', 'lostReply', 'cut', 'jobError', 'neverReady']);

/** A job has its disk already, and begins where its step does. */
const OF_JOB: ReadonlySet<Fault['kind']> = new Set(['jobError', 'neverReady']);

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
  const start = async (next: LabChoice) => {
    setChoice(next);
    history.replaceState(null, '', `#lab=${encodeURIComponent(JSON.stringify(next))}`);
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
      {run === null ? null : <Lights run={run} />}
      {run?.refusal == null ? null : (
        <p class="notice" role="status">
          Refused before anything was touched: {visible(run.refusal)}
        </p>
      )}
      {run?.story == null ? null : <StoryView story={run.story} atMs={atMs} go={setAtMs} isLive={false} />}
      {run === null ? null : (
        <details class="happened">
          <summary>Everything that happened</summary>
          <ol>
            {run.happened.map((words, at) => (
              <li key={`${at} ${words}`}>{visible(words)}</li>
            ))}
          </ol>
        </details>
      )}
    </div>
  );
}

interface FaultProps {
  readonly fault: Fault;
  readonly disks: readonly string[];
  readonly steps: readonly string[];
  readonly set: (fault: Fault) => void;
  readonly remove: () => void;
}

function FaultForm({ fault, disks, steps, set, remove }: FaultProps) {
  const kinds = FAULT_KINDS.map(kind => [kind, FAULT_WORDS[kind]] as const);
  return (
    <p class="fault">
      <select
        aria-label="What goes wrong"
        value={fault.kind}
        onChange={event => set({ ...fault, kind: chosen(FAULT_KINDS, event.currentTarget.value) })}
      >
        {kinds.map(([kind, words]) => (
          <option key={kind} value={kind}>
            {words}
          </option>
        ))}
      </select>
      {OF_JOB.has(fault.kind) ? null : (
        <label>
          at{' '}
          <select value={fault.step} onChange={event => set({ ...fault, step: event.currentTarget.value })}>
            <option value="">the beginning</option>
            {steps.map(step => (
              <option key={step} value={step}>
                {step}
              </option>
            ))}
          </select>
        </label>
      )}
      {OF_DISK.has(fault.kind) ? (
        <label>
          of{' '}
          <select
            value={String(fault.disk)}
            onChange={event => set({ ...fault, disk: Number(event.currentTarget.value) })}
          >
            {disks.map((name, at) => (
              <option key={name} value={String(at)}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      {fault.kind === 'jobError' || fault.kind === 'full' ? (
        <label>
          at{' '}
          <input
            type="number"
            min="0"
            max="100"
            value={fault.percent}
            onChange={event =>
              set({
                ...fault,
                percent: Math.min(100, Math.max(0, Math.round(Number(event.currentTarget.value)))),
              })
            }
          />{' '}
          %
        </label>
      ) : null}
      <button type="button" onClick={remove} aria-label={`Remove: ${FAULT_WORDS[fault.kind]}`}>
        Remove
      </button>
    </p>
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

function chosen<W extends string>(of: readonly W[], value: string): W {
  const found = of.find(each => each === value);
  if (found === undefined) throw new Error(`${value} is not among what can be chosen`);
  return found;
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
