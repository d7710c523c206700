/** What must be true of every group, judged by the world: see docs/groups.md. Each gives what is wrong, or undefined. */
import { judgeWrites } from '../src/fuzz/laws/judge-writes.ts';
import type { Fault } from '../src/sim/monitor/faults.ts';
import { type SentCommand, THEIR_CONT, VMS } from '../test/engine/group-stage.ts';
import { isNamed, MAX_BLACKOUT_MS, type Played } from './group-scene.ts';

type Law = (played: Played) => string | undefined;

/** The longest undo in a pause on the simulator, where QEMU answers in time. */
const UNDO_MS = 500;

const faultsOf = ({ scene }: Played): readonly Fault[] => scene.guests.flatMap(({ faults = [] }) => faults);

/** Faults that strike only by what QEMU refuses: then nothing excuses a pause or a resume. */
const isPrompt = (played: Played) =>
  faultsOf(played).every(({ kind }) => kind === 'refuse') && played.scene.diesAt === null;

/** The same where QEMU also answers late: that excuses long pauses, and no resume on overlays of which not all are taken. */
const isTold = (played: Played) =>
  faultsOf(played).every(({ kind }) => kind === 'refuse' || kind === 'replyLate') &&
  played.scene.diesAt === null;

function isStopped(guest: Played['scene']['guests'][number] | undefined): boolean {
  return (guest?.faults ?? []).some(each => each.kind === 'otherClient' && each.execute === 'stop');
}

type Sight = Played['pauses'][number]['world'];

/** The overlays of every guest are in front. */
function allTaken({ bases }: Played, world: Sight): boolean {
  return world.every(({ fronts }, at) => fronts.every((file, disk) => file !== bases[at]?.[disk]));
}

/** The guest that is resumed here has its overlays; one that is cloned is resumed where it was, behind the last pause of all. */
function isGo({ bases, pauses, scene }: Played, { guest, world }: SentCommand, at: number): boolean {
  if (scene.isCloned) return pauses.slice(at).every(({ verb }) => verb !== 'stop');
  const fronts = world[guest]?.fronts ?? [];
  return fronts.length > 0 && fronts.every((file, disk) => file !== bases[guest]?.[disk]);
}

/** By these a guest is resumed. */
const RESUMES: ReadonlySet<string> = new Set(['cont', THEIR_CONT]);

export const GROUP_LAWS = {
  /** G1: all disks of all guests are on one side, and it is the one that the journal and the result tell. */
  'all or none': ({ sides, decided, told }) => {
    if (new Set(sides).size !== 1 || sides[0] === 'mixed') return `the guests are on ${sides.join()}`;
    const expected = decided === 'committed' ? 'new' : 'old';
    if (sides[0] !== expected) return `the journal says ${decided}, and the guests are on ${sides[0]}`;
    if (told !== null && told !== 'needsRecovery' && told !== decided)
      return `it was told as ${told}, and is ${decided}`;
    return undefined;
  },

  /**
   * G1: what the images of a committed group hold is what all guests had written at one instant, at which none ran. A third party may resume
   * the first behind it, right in front of the group.
   */
  'one instant': played => {
    if (played.decided !== 'committed') return undefined;
    const go = played.pauses.find((each, at) => RESUMES.has(each.verb) && isGo(played, each, at));
    // Guests that a third party has stopped are not resumed.
    if (go === undefined)
      return played.scene.guests.every(isStopped)
        ? undefined
        : 'no guest was resumed behind the instant of all';
    for (const [at, { running, acknowledged }] of go.world.entries()) {
      if (running) return `guest ${VMS[at]} ran when the first was resumed`;
      const sim = played.stage.sims[at];
      const bases = played.bases[at] ?? [];
      const files = played.scene.isCloned ? bases.map((_, disk) => played.stage.newFile(at, disk)) : bases;
      const contents = new Map(files.map((file, disk) => [disk, sim?.world.readFile(file) ?? []] as const));
      const { upTo, why } = judgeWrites(contents, files.length);
      if (why !== undefined) return `guest ${VMS[at]}: ${why}`;
      if (upTo !== acknowledged)
        return `the images of ${VMS[at]} go up to ${upTo}, it had written ${acknowledged}`;
    }
    return undefined;
  },

  /** I3 of each guest: whenever it runs it reads what it has written, and so does the next boot of one whose QEMU is dead. */
  'nothing lost': ({ stage, boots }) => {
    for (const [at, files] of boots) {
      const { world } = stage.sims[at] ?? {};
      if (world === undefined) continue;
      const contents = new Map(files.map((file, disk) => [disk, world.readFile(file)] as const));
      const { upTo, why } = judgeWrites(contents, files.length);
      const { acknowledged } = world.guest;
      if (why !== undefined || upTo !== acknowledged)
        return `guest ${VMS[at]} is to be booted from write ${upTo} of ${acknowledged}${why === undefined ? '' : `: ${why}`}`;
    }
    for (const [at, { world }] of stage.sims.entries()) {
      const [misread] = world.guest.misreads;
      if (misread === undefined) continue;
      const { disk, held, wrote, atMs } = misread;
      return `guest ${VMS[at]} ran at ${atMs} ms and read write ${held} from disk ${disk}, where it had written ${wrote}`;
    }
    return undefined;
  },

  /** G2: a group that was rolled back leaves no overlay and no copy that its results do not name. */
  'nothing left': ({ decided, stage, sides, named }) => {
    if (decided === 'committed' || sides.includes('new')) return undefined;
    for (const [at, sim] of stage.sims.entries()) {
      for (const disk of [0, 1, 2]) {
        const file = stage.newFile(at, disk);
        if (sim.world.host.image(file) === undefined || isNamed(file, named)) continue;
        return `${file} is left, and not named`;
      }
    }
    return undefined;
  },

  /** G3: no guest is resumed on its overlays before all have theirs. */
  'none ran before go': played => {
    if (!isTold(played)) return undefined;
    for (const { verb, guest, world } of played.pauses) {
      if (verb !== 'cont') continue;
      const onOverlay =
        world[guest]?.fronts.some((file, disk) => file !== played.bases[guest]?.[disk]) === true;
      if (onOverlay && !allTaken(played, world))
        return `guest ${VMS[guest]} was resumed on its overlays before go`;
    }
    return undefined;
  },

  /** G4: no pause is longer than permitted and what its undo takes. */
  'short pause': played => {
    if (!isPrompt(played)) return undefined;
    for (const guest of played.scene.guests.keys()) {
      let sinceMs: number | undefined;
      for (const { verb, atMs } of played.pauses.filter(each => each.guest === guest)) {
        if (verb === 'stop') sinceMs ??= atMs;
        else if (sinceMs !== undefined && atMs - sinceMs > MAX_BLACKOUT_MS + UNDO_MS)
          return `guest ${VMS[guest]} was paused for ${atMs - sinceMs} ms`;
        else sinceMs = undefined;
      }
    }
    return undefined;
  },

  /** G5: whatever died, all has ended, every guest runs that was not stopped by another, and none of its writes is lost. */
  'it ends': ({ open, stage, scene }) => {
    if (open.length > 0) return `${open.join()} has not ended`;
    for (const [at, sim] of stage.sims.entries()) {
      if (!sim.world.alive) continue;
      if (!sim.world.running && !isStopped(scene.guests[at])) return `guest ${VMS[at]} does not run`;
      const { consistent, why } = sim.world.cutOfFronts();
      if (!consistent) return `guest ${VMS[at]}: ${why}`;
    }
    return undefined;
  },
} as const satisfies Readonly<Record<string, Law>>;

export function judgeGroup(played: Played): readonly string[] {
  return Object.entries<Law>(GROUP_LAWS).flatMap(([name, law]) => {
    const why = law(played);
    return why === undefined ? [] : [`${name}: ${why}`];
  });
}
