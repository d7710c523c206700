/**
 * Commits without QEMU over virtual images: what is refused, and that a death at any change and at any record leaves all
 * chains reading as they did, on one side. The journal here throws where a death is to come, and does nothing else.
 */
import { expect, test } from 'vitest';
import { type CommitOfflineOptions, commitOffline } from '../../src/engine/offline-commit/commit-offline.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { Images } from '../../src/images/images.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { type MemoryJournalState, memoryJournal } from '../../src/journal/memory.ts';
import type { OfflineCommitRequest } from '../../src/operations/commit-offline-request.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import type { Extents } from '../../src/sim/host/contents.ts';
import { createForeignFiles } from '../../src/sim/host/foreign-files.ts';
import { Died, virtualImages } from '../../src/sim/virtual-images.ts';
import { rejection, smallSim } from './lives.ts';

const LAYERS = ['base', 'snap1', 'snap2', 'active'];
const KIB = 1024;

const file = (disk: string, layer: string) => `/images/${disk}.${layer}.qcow2`;

/** base <- snap1 <- snap2 <- active for each disk; each layer holds some of its own, and some above the one below. */
function chains(...disks: readonly string[]): Sim {
  const sim = smallSim({ disks: 1 });
  disks.forEach((disk, number) => {
    LAYERS.forEach((layer, depth) => {
      const below = LAYERS[depth - 1];
      const value = 100 * (number + 1) + depth + 1;
      sim.world.host.write(file(disk, layer), {
        format: 'qcow2',
        sizeBytes: 1024 * KIB,
        backing: below === undefined ? undefined : file(disk, below),
        backingFormat: below === undefined ? undefined : 'qcow2',
        contents: [depth * 64 * KIB, (depth * 64 + 128) * KIB, value],
      });
    });
  });
  return sim;
}

const optionsOf = (sim: Sim, images: Images = virtualImages(sim)): CommitOfflineOptions => ({
  files: sim.files,
  images,
  clock: sim.clock,
});

const readAll = (sim: Sim, files: readonly string[]): readonly Extents[] =>
  files.map(name => sim.world.readFile(name));

function chainOf(sim: Sim, front: string): readonly string[] {
  const found: string[] = [];
  for (let next: string | undefined = front; next !== undefined; ) {
    found.push(next);
    next = sim.world.host.image(next)?.backing;
  }
  return found.map(name => name.replace(/^.*\.(\w+)\.qcow2$/, '$1')).reverse();
}

const one = (more: Partial<OfflineCommitRequest['disks'][number]>, rest = {}): OfflineCommitRequest => ({
  disks: [{ disk: file('a', 'active'), ...more }],
  ...rest,
});

test.each([
  ['all into the lowest', one({}), ['base'], 'base'],
  ['the lowest by name', one({ base: file('a', 'base') }), ['base'], 'base'],
  ['the one in front, shallow', one({}, { shallow: true }), ['base', 'snap1', 'snap2'], 'snap2'],
  [
    'snap2, shallow',
    one({ top: file('a', 'snap2') }, { shallow: true }),
    ['base', 'snap1', 'active'],
    'active',
  ],
  ['snap2 into the lowest', one({ top: '[1]' }), ['base', 'active'], 'active'],
  ['snap1 into the lowest', one({ top: file('a', 'snap1') }), ['base', 'snap2', 'active'], 'active'],
] as const)('%s: the chain is shorter and reads the same', async (_what, request, chain, front) => {
  const sim = chains('a');
  const before = readAll(sim, [file('a', 'active')]);
  const result = await commitOffline(memoryJournal(), request, optionsOf(sim));
  expect(result).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
  expect(result.boot).toEqual([{ disk: file('a', 'active'), file: file('a', front), format: 'qcow2' }]);
  expect(chainOf(sim, file('a', front))).toEqual(chain);
  expect(readAll(sim, [file('a', front)])).toEqual(before);
});

test('with delete only the files that have left are gone', async () => {
  const sim = chains('a');
  const request = one({ top: '[1]' }, { delete: true });
  expect((await commitOffline(memoryJournal(), request, optionsOf(sim))).leftovers).toEqual([]);
  expect(sim.files.list().filter(name => name.includes('/a.'))).toEqual([
    file('a', 'active'),
    file('a', 'base'),
  ]);
});

test.each([
  [
    'an image that is not of its chain',
    one({ top: '/images/other.qcow2' }),
    'REQUEST_INVALID',
    /not an image of its chain/,
  ],
  ['a base above the top', one({ top: '[2]', base: '[1]' }), 'REQUEST_INVALID', /not below/],
  ['a base that is the top', one({ top: '[2]', base: '[2]' }), 'REQUEST_INVALID', /not below/],
  ['a top without a backing image', one({ top: '[3]' }), 'REQUEST_INVALID', /no backing image/],
  ['shallow with a deeper base', one({ base: '[2]' }, { shallow: true }), 'REQUEST_INVALID', /right below/],
  [
    'relative where headers are absolute',
    one({ top: '[1]' }, { relative: true }),
    'REQUEST_INVALID',
    /no relative path/,
  ],
  ['a place of another disk', one({ top: '/images/b.active.qcow2[1]' }), 'REQUEST_INVALID', /another disk/],
  ['a place deeper than the chain', one({ top: '[9]' }), 'REQUEST_INVALID', /deeper/],
  ['another format than stated', one({ format: 'raw' }), 'DISK_UNSUPPORTED', /stated format/],
  ['a front that is not there', { disks: [{ disk: '/images/none.qcow2' }] }, 'UNKNOWN_DISK', /not there/],
  [
    'one file twice',
    { disks: [{ disk: file('a', 'active') }, { disk: file('a', 'active') }] },
    'DISK_NAMED_TWICE',
    /one file/,
  ],
] as const)('%s is refused, and nothing is changed', async (_what, request, code, message) => {
  const sim = chains('a', 'b');
  const images = virtualImages(sim);
  const journal = memoryJournal();
  const error = await rejection(commitOffline(journal, request, optionsOf(sim, images)));
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  expect(images.changes).toEqual([]);
  expect(journal.sagas()).toEqual([]);
});

const TWO: OfflineCommitRequest = {
  id: 'night',
  disks: [{ disk: file('a', 'active'), top: '[1]', base: '[3]' }, { disk: file('b', 'active') }],
  delete: true,
};
const OLD = [file('a', 'active'), file('b', 'active')];
const NEW = [file('a', 'active'), file('b', 'base')];

test('two disks that stand on one image are refused when it would be written to, or leave', async () => {
  const sim = chains('a', 'b');
  const sibling = file('b', 'snap1');
  const image = sim.world.host.image(sibling);
  if (image === undefined) throw new Error('it is there');
  sim.world.host.write(sibling, { ...image, backing: file('a', 'base') });
  const error = await rejection(commitOffline(memoryJournal(), TWO, optionsOf(sim)));
  expect([error.code, error.message]).toEqual([
    'DISK_BUSY',
    expect.stringMatching(/a\.base.* stands on it too/),
  ]);
});

test('a header that does not say the format below is refused, with what to do', async () => {
  const sim = chains('a');
  const image = sim.world.host.image(file('a', 'snap2'));
  if (image === undefined) throw new Error('it is there');
  sim.world.host.write(file('a', 'snap2'), { ...image, backingFormat: undefined });
  const error = await rejection(commitOffline(memoryJournal(), one({}), optionsOf(sim)));
  expect([error.code, error.message]).toEqual([
    'DISK_UNSUPPORTED',
    expect.stringMatching(/not guessed.*qemu-img rebase -u/),
  ]);
});

test.each(['inUse', 'locked'] as const)(
  'an image that is %s is refused before anything is written',
  async how => {
    const sim = chains('a', 'b');
    const images = virtualImages(sim);
    const base = file('b', 'base');
    const busy: Images = {
      ...images,
      look: async image => (how === 'inUse' && image.file === base ? { state: 'inUse' } : images.look(image)),
      whyNotWritable: async image =>
        how === 'locked' && image.file === base ? 'Failed to get "write" lock' : undefined,
    };
    const error = await rejection(commitOffline(memoryJournal(), TWO, optionsOf(sim, busy)));
    expect([error.code, error.message]).toEqual(['DISK_BUSY', expect.stringContaining(base)]);
    expect(images.changes).toEqual([]);
  },
);

test('a saga that has not ended keeps its images from being merged', async () => {
  const sim = chains('a', 'b');
  const journal = memoryJournal();
  const images = virtualImages(sim, 1);
  await expect(commitOffline(journal, TWO, optionsOf(sim, images))).rejects.toThrow(Died);
  const error = await rejection(commitOffline(journal, one({}), optionsOf(sim)));
  expect([error.code, error.saga]).toEqual(['VM_BUSY', 'night']);
});

test('the same id twice has one effect, and another request under it is refused', async () => {
  const sim = chains('a', 'b');
  const journal = memoryJournal();
  const images = virtualImages(sim);
  const result = await commitOffline(journal, TWO, optionsOf(sim, images));
  const changes = [...images.changes];
  expect(await commitOffline(journal, TWO, optionsOf(sim, images))).toEqual(result);
  expect(images.changes).toEqual(changes);
  const error = await rejection(commitOffline(journal, { ...TWO, delete: false }, optionsOf(sim, images)));
  expect(error.code).toBe('ID_CONFLICT');
});

/** A journal that dies at its n-th write: before it, or right behind it. */
function mortal(journal: Journal, nth: number, when: 'before' | 'behind'): Journal {
  let writes = 0;
  const write = <T>(act: () => T): T => {
    writes += 1;
    if (writes === nth && when === 'before') throw new Died('journal');
    const done = act();
    if (writes === nth) throw new Died('journal');
    return done;
  };
  return {
    ...journal,
    append: async (...rest) => write(() => journal.append(...rest)),
    appendSync: (...rest) => write(() => journal.appendSync(...rest)),
    end: async (...rest) => write(() => journal.end(...rest)),
  };
}

/** One process that dies; undefined when it has ended before that. */
type Life = (sim: Sim, nth: number) => Promise<MemoryJournalState | undefined>;

async function stateOfDeath(journal: ReturnType<typeof memoryJournal>, life: Promise<unknown>) {
  try {
    await life;
    return undefined;
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return journal.snapshot();
  }
}

const DEATHS: Readonly<Record<string, Life>> = {
  'before a change': async (sim, nth) => {
    const journal = memoryJournal();
    return stateOfDeath(journal, commitOffline(journal, TWO, optionsOf(sim, virtualImages(sim, nth))));
  },
  'before a record': async (sim, nth) => {
    const journal = memoryJournal();
    return stateOfDeath(journal, commitOffline(mortal(journal, nth, 'before'), TWO, optionsOf(sim)));
  },
  'behind a record': async (sim, nth) => {
    const journal = memoryJournal();
    return stateOfDeath(journal, commitOffline(mortal(journal, nth, 'behind'), TWO, optionsOf(sim)));
  },
};

test.each(Object.entries(DEATHS))(
  'a death %s: gone on with, all chains are shorter and read the same',
  async (_, life) => {
    let deaths = 0;
    for (let nth = 1; ; nth += 1) {
      const sim = chains('a', 'b');
      const before = readAll(sim, OLD);
      const state = await life(sim, nth);
      if (state === undefined) break;
      deaths += 1;
      const journal = memoryJournal(state);
      const result = await recoverOffline(journal, 'night', optionsOf(sim));
      expect(result.outcome, `death ${nth}`).toBe('committed');
      expect(readAll(sim, NEW)).toEqual(before);
      expect([chainOf(sim, NEW[0] ?? ''), chainOf(sim, NEW[1] ?? '')]).toEqual([
        ['base', 'active'],
        ['base'],
      ]);
      expect(sim.files.list().filter(name => /[ab]\./.test(name))).toEqual([
        file('a', 'active'),
        file('a', 'base'),
        file('b', 'base'),
      ]);
      expect(await recoverOffline(journal, 'night', optionsOf(sim))).toEqual(result);
    }
    expect(deaths).toBeGreaterThan(2);
  },
);

test.each(Object.entries(DEATHS))(
  'a death %s, then asked to go back: as they were, until the decision',
  async (_, life) => {
    const outcomes: string[] = [];
    for (let nth = 1; ; nth += 1) {
      const sim = chains('a', 'b');
      const before = readAll(sim, OLD);
      const state = await life(sim, nth);
      if (state === undefined) break;
      const journal = memoryJournal(state);
      const ended = journal.saga('night')?.state === 'committed';
      const decided = journal.records('night').some(({ kind }) => kind === 'decision');
      const back = recoverOffline(journal, 'night', { ...optionsOf(sim), back: true });
      if (ended) expect((await back).outcome).toBe('committed');
      else if (decided) expect((await rejection(back)).code).toBe('SAGA_STATE');
      else {
        expect((await back).outcome).toBe('rolledBack');
        expect(readAll(sim, OLD)).toEqual(before);
        expect(chainOf(sim, OLD[0] ?? '')).toEqual(LAYERS);
      }
      outcomes.push(decided ? 'decided' : 'back');
    }
    expect(new Set(outcomes)).toEqual(new Set(['back', 'decided']));
  },
);

test('a merge that fails leaves every chain reading as it did, and says which base was written to', async () => {
  const sim = chains('a', 'b');
  const before = readAll(sim, OLD);
  const images = virtualImages(sim);
  const full: Images = {
    ...images,
    async commitInto(top, base, signal) {
      if (base.file === file('b', 'base')) throw BlocksagaError.fromRecord(FULL);
      return images.commitInto(top, base, signal);
    },
  };
  const result = await commitOffline(memoryJournal(), TWO, optionsOf(sim, full));
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'FILES' } });
  expect(result.why).toContain(`${file('a', 'base')}, ${file('b', 'base')} may hold`);
  expect(result.boot?.map(image => image.file)).toEqual(OLD);
  expect(readAll(sim, OLD)).toEqual(before);
});

const FULL = { code: 'FILES', message: 'no space left', retryable: false, effect: 'notApplied' } as const;

test('a header that cannot be written after the decision needs recovery, which then goes forward', async () => {
  const sim = chains('a', 'b');
  const before = readAll(sim, OLD);
  const journal = memoryJournal();
  const images = virtualImages(sim);
  const broken: Images = {
    ...images,
    pointAt: () => Promise.reject(BlocksagaError.fromRecord(FULL)),
  };
  const result = await commitOffline(journal, TWO, optionsOf(sim, broken));
  expect(result).toMatchObject({ outcome: 'needsRecovery', error: { code: 'FILES', step: 'pointImage' } });
  expect((await rejection(recoverOffline(journal, 'night', { ...optionsOf(sim), back: true }))).code).toBe(
    'SAGA_STATE',
  );
  expect((await recoverOffline(journal, 'night', optionsOf(sim))).outcome).toBe('committed');
  expect(readAll(sim, NEW)).toEqual(before);
});

test.each(['base', 'snap'])(
  'an image (%s) in whose place a third party has put another one is not written to',
  async which => {
    const sim = chains('a', 'b');
    const before = readAll(sim, OLD);
    const journal = memoryJournal();
    const images = virtualImages(sim);
    const thirdParty = createForeignFiles(sim.world.host, () => 0);
    const path = which === 'base' ? file('b', 'base') : (OLD[1] ?? '');
    const merged: Images = {
      ...images,
      async commitInto(top, base, signal) {
        await images.commitInto(top, base, signal);
        if (images.changes.length === 1) thirdParty.act({ path, how: 'replace' });
      },
    };
    const result = await commitOffline(journal, TWO, optionsOf(sim, merged));
    expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'FILES' } });
    expect(result.error?.message).toContain(`${path} there is now another file`);
    expect(images.changes).toHaveLength(1);
    expect(thirdParty.putBack(path)).toBe(true);
    expect(readAll(sim, OLD)).toEqual(before);
  },
);

test('asked to go back between two merges, it does', async () => {
  const sim = chains('a', 'b');
  const images = virtualImages(sim);
  const asked = new AbortController();
  const watched: Images = {
    ...images,
    async commitInto(...rest) {
      await images.commitInto(...rest);
      asked.abort();
    },
  };
  const result = await commitOffline(memoryJournal(), TWO, {
    ...optionsOf(sim, watched),
    signal: asked.signal,
  });
  expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'ABORTED' } });
  expect(images.changes).toHaveLength(1);
});

/** A guest is started on an image by mistake, writes, and ends. */
function write(sim: Sim, name: string, value: number): void {
  const image = sim.world.host.image(name);
  if (image === undefined) throw new Error(`${name} is not there`);
  sim.world.host.write(name, { ...image, contents: [0, 512, value] });
}

test('what a guest writes to an old front while the saga lies dead is merged too', async () => {
  for (let nth = 1; ; nth += 1) {
    const sim = chains('a', 'b');
    const state = await DEATHS['behind a record']?.(sim, nth);
    if (state === undefined) break;
    const journal = memoryJournal(state);
    const front = file('b', 'active');
    if (journal.saga('night')?.state !== 'open' || sim.world.host.image(front) === undefined) continue;
    write(sim, front, 999);
    const result = await recoverOffline(journal, 'night', optionsOf(sim));
    expect([result.outcome, result.leftovers], `death ${nth}`).toEqual(['committed', []]);
    expect(sim.world.readFile(file('b', 'base')).slice(0, 3)).toEqual([0, 512, 999]);
  }
});

test('when both the old front and the new one were booted after the decision, the old one is kept and named', async () => {
  let kept = 0;
  for (let nth = 1; ; nth += 1) {
    const sim = chains('a', 'b');
    const state = await DEATHS['behind a record']?.(sim, nth);
    if (state === undefined) break;
    const journal = memoryJournal(state);
    const front = file('b', 'active');
    const decided = journal.records('night').some(({ kind }) => kind === 'decision');
    if (!decided || sim.world.host.image(front) === undefined) continue;
    write(sim, front, 999);
    write(sim, file('b', 'base'), 555);
    const result = await recoverOffline(journal, 'night', optionsOf(sim));
    expect(result.leftovers).toContainEqual(
      expect.stringMatching(/b\.active\.qcow2 \(another program wrote to it/),
    );
    expect(sim.world.readFile(file('b', 'base')).slice(0, 3)).toEqual([0, 512, 555]);
    expect(sim.world.host.image(front)).toBeDefined();
    kept += 1;
  }
  expect(kept).toBeGreaterThan(1);
});

/** An image on which a qemu-img of the dead process is still at work, for so many looks. */
function workedOn(images: Images, name: string, looks: number): Images {
  let left = looks;
  return {
    ...images,
    async whyNotWritable(image) {
      if (image.file !== name || left === 0) return undefined;
      left -= 1;
      return 'Failed to get "write" lock';
    },
  };
}

test('a merge that has outlived its process is waited for, but not for ever, and the saga is left as it is', async () => {
  const sim = chains('a', 'b');
  const before = readAll(sim, OLD);
  const state = await DEATHS['behind a record']?.(sim, 1);
  const journal = memoryJournal(state);
  const goOn = (looks: number) => {
    const images = workedOn(virtualImages(sim), file('b', 'base'), looks);
    return sim.run(recoverOffline(journal, 'night', optionsOf(sim, images)));
  };
  const error = await rejection(goOn(1_000));
  expect([error.code, error.message]).toEqual([
    'DISK_BUSY',
    expect.stringMatching(/qemu-img of the process that died/),
  ]);
  expect(journal.saga('night')?.state).toBe('open');
  expect((await goOn(3)).outcome).toBe('committed');
  expect(readAll(sim, NEW)).toEqual(before);
});
