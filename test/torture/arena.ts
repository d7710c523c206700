/**
 * Where rounds are played: a guest that writes in order, its images in a directory of their own beside the journal, and
 * the orchestrator to be killed next. One guest serves many rounds until its QEMU dies or its chains have grown.
 */
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { type FakeAgent, fakeAgent } from '../qemu/fake-agent.ts';
import { DISKS, type Operation } from './operation.ts';
import { type Orchestrator, startOrchestrator } from './orchestrator-process.ts';
import { filesIn, lookAround } from './outside.ts';
import { setScene } from './scene.ts';

/** Small, so that a copy is quick, with room for the guest's ring of 4 MiB. */
const SIZE_BYTES = 16 * 1024 * 1024;
const ROUNDS_PER_GUEST_MAX = 5;
const SHARED_MEMORY = '/dev/shm';
const ROOM_BYTES = 512 * 1024 * 1024;
const WARM_UP_WRITES = 30;

/** Without any rest a guest of the small BIOS writes some twenty-six thousand times a second, which fills a machine with lanes. */
const RESTLESS_US = 1_000;

/** A guest and what belongs to it. */
export class Arena {
  readonly vm: GuestVm;
  readonly home: string;
  readonly agent: FakeAgent;
  readonly journalFile: string;
  #orchestrator: Orchestrator;
  readonly #guest: Operation['guest'];
  /** How many rounds have been played here. */
  rounds = 0;
  /** Whether the directory stays when the guest is gone. */
  keep = false;

  private constructor(
    vm: GuestVm,
    home: string,
    agent: FakeAgent,
    guest: Operation['guest'],
    orchestrator: Orchestrator,
  ) {
    this.agent = agent;
    this.#guest = guest;
    this.vm = vm;
    this.home = home;
    this.journalFile = journalIn(home);
    this.#orchestrator = orchestrator;
  }

  /** The guest rests so long after each write, in microseconds; hardly, unless told: a write of its own takes half as long. */
  static async open({ guest }: Operation, pacingUs = RESTLESS_US): Promise<Arena> {
    const home = await mkdtemp(join(await roomyDirectory(), 'blocksaga-torture-'));
    const directory = await mkdtemp(join(home, 'images-'));
    const vm = await startGuestVm({
      ...{ disks: DISKS, sizeBytes: SIZE_BYTES, directory, pacingUs },
      ...guest,
    });
    await vm.awaitWrites(WARM_UP_WRITES);
    await setScene(vm, guest);
    const agent = await fakeAgent(join(home, 'agent'), []);
    return new Arena(vm, home, agent, guest, await startOrchestrator(journalIn(home)));
  }

  /** The one that is to die next. */
  get orchestrator(): Orchestrator {
    return this.#orchestrator;
  }

  /** Buries the dead one, and gives its successor. */
  async succeed(): Promise<Orchestrator> {
    await this.#orchestrator.kill();
    this.#orchestrator = await startOrchestrator(this.journalFile);
    return this.#orchestrator;
  }

  /** Names for the new images of a saga. */
  files(id: string): readonly string[] {
    return this.vm.disks.map((_, disk) => join(this.vm.directory, `${id}-${disk}.qcow2`));
  }

  /** Whether another round may be played here: what a scene was set with is there for one only. */
  fits({ guest }: Operation): boolean {
    const { style, backing, overlays, bitmaps, rests } = guest;
    const isUsedUp = style === 'drive' || backing || overlays || bitmaps || rests;
    const isSame = JSON.stringify(guest) === JSON.stringify(this.#guest);
    return isSame && !isUsedUp && this.rounds < ROUNDS_PER_GUEST_MAX;
  }

  /** Removes the images that no disk needs any more. */
  async tidy(): Promise<void> {
    const keep = new Set((await lookAround(this.vm)).chains.flat());
    for (const file of await filesIn(this.vm.directory)) if (!keep.has(file)) await rm(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orchestrator.kill();
    await this.agent[Symbol.asyncDispose]();
    await this.vm[Symbol.asyncDispose]();
    if (!this.keep) await rm(this.home, { recursive: true });
  }
}

const journalIn = (home: string) => join(home, 'journal.db');

/** Memory where there is some to spare: no process is to wait for a disk, and the guest writes the more often. */
async function roomyDirectory(): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(SHARED_MEMORY);
    return bavail * bsize >= ROOM_BYTES ? SHARED_MEMORY : tmpdir();
  } catch {
    return tmpdir(); // not everywhere
  }
}
