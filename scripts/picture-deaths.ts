/** Sagas whose process is killed, for pictures of them: once or several times, each time in the step that is named. */
import { createEngine } from '../src/engine/engine.ts';
import type { Saga } from '../src/engine/running/saga.ts';
import { createMortal } from '../src/fuzz/account/mortal.ts';
import { type MemoryJournal, type MemoryJournalState, memoryJournal } from '../src/journal/memory.ts';
import type { Sim } from '../src/sim/index.ts';
import { virtualImages } from '../src/sim/virtual-images.ts';
import type { Story } from '../src/story/story.ts';
import { tellStory } from '../src/story/tell.ts';

/** In which state a process is killed, and how long there is none after that. */
export interface Death {
  readonly in: string;
  readonly goneMs: number;
}

interface Wish {
  readonly id: string;
  readonly vm: string;
  readonly disks: readonly { readonly disk: string; readonly to: string }[];
}

const UNHEARD = { sent() {}, received() {}, fileTouched() {}, fileLooked() {}, recorded() {} };

/** Copies the disks; one process after the other is killed, and the last ends it. */
export async function killedCopy(
  sim: Sim,
  { id, vm, disks }: Wish,
  deaths: readonly Death[],
): Promise<{ readonly story: Story; readonly journal: MemoryJournal }> {
  let kept: MemoryJournalState | undefined;
  for (const death of [...deaths, undefined]) {
    const journal = memoryJournal(kept, { clock: sim.clock });
    const process = createMortal({
      ...{ connect: sim.connect, files: sim.files, agent: sim.agent, images: virtualImages(sim) },
      ...{ journal, clock: sim.clock, dies: undefined, lingerMs: 1, passage: UNHEARD },
    });
    const engine = createEngine({ journal: process.journal, clock: process.clock });
    const guest = { qmp: process.connect, files: process.files };
    const begun = kept === undefined ? engine.copy({ ...guest, id, vm, disks }) : engine.resume(id, guest);
    let there = Promise.resolve();
    // Listened to at once: its first steps take no time.
    const saga = await sim.run(
      begun.then(one => {
        if (death !== undefined) there = entered(one, death.in);
        return one;
      }),
    );
    if (death === undefined) {
      await sim.run(saga.result);
      const row = journal.saga(id);
      if (row === undefined) throw new Error(`no saga ${id}`);
      const story = tellStory({ row, plan: saga.plan, records: journal.records(id), isRunning: false });
      return { story, journal };
    }
    await sim.run(there);
    process.die();
    kept = journal.snapshot();
    await sim.advance(death.goneMs);
  }
  throw new Error('the last process ends the saga');
}

function entered(saga: Saga, leaf: string): Promise<void> {
  return new Promise(resolve => {
    saga.subscribe(notice => {
      if (notice.type === 'event' && !notice.replayed && notice.state.split('.').at(-1) === leaf) resolve();
    });
  });
}
