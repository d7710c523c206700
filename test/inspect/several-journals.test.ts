/** Several journals on one page: one list, each saga told and asked through its own journal, and one that is broken hides no other. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busyJournal } from '../../scripts/picture-stories.ts';
import { BlocksagaError } from '../../src/errors.ts';
import type { FindingTold } from '../../src/inspect/found-told.ts';
import type { Listed } from '../../src/inspect/listed-saga.ts';
import { type InspectServer, serveInspect } from '../../src/inspect/server.ts';
import type { ShownJournal } from '../../src/inspect/shown-journal.ts';
import type { MemoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';

const FILES = new Map([['page.html', { type: 'text/html; charset=utf-8', text: '<main></main>' }]]);
const WAITS = '8c4e1y6t0s9mb';
const NEEDS = '0vd5r8m2j6x1a';

let web: MemoryJournal;
let mail: MemoryJournal;
let server: InspectServer;
const resumed: string[] = [];

beforeAll(async () => {
  ({ journal: web } = await busyJournal());
  ({ journal: mail } = await busyJournal());
  const shown = (name: string, journal: MemoryJournal): ShownJournal => ({
    ...{ journal, name, file: `/srv/${name} host/journal.db` },
    resume: async saga => void resumed.push(`${name}: ${saga}`),
  });
  server = await serve([shown('web', web), shown('mail', mail)]);
});
afterAll(() => server.close());

function serve([first, ...beside]: readonly ShownJournal[]): Promise<InspectServer> {
  if (first === undefined) throw new Error('there is one');
  const processes = { isAlive: () => true };
  return serveInspect({ ...first, beside, processes, clock: systemClock, files: FILES });
}

function post(path: string, body: unknown) {
  const { origin } = new URL(server.address);
  return fetch(server.address + path, { method: 'POST', body: JSON.stringify(body), headers: { origin } });
}

test('the sagas of all are one list, those that need a person on top, each with its journal and the command for it', async () => {
  const list = await listOf(server);
  expect(list).toHaveLength(12);
  expect(
    list
      .slice(0, 4)
      .map(({ of, label }) => `${of}: ${label}`)
      .sort(),
  ).toEqual([...['mail: needs recovery', 'mail: waits', 'web: needs recovery', 'web: waits']]);
  expect(list.find(({ of, needs }) => of === 'mail' && needs)?.command).toBe(
    `blocksaga resume --offline ${NEEDS} --journal '/srv/mail host/journal.db'`,
  );
});

test('a button asks through the journal that the saga is in, and no other', async () => {
  const asked = (of: MemoryJournal) => of.records(WAITS).some(({ kind }) => kind === 'signal');
  expect((await post(`ask/${WAITS}?of=mail`, { signal: 'abort' })).status).toBe(200);
  expect([asked(web), asked(mail)]).toEqual([false, true]);
  expect((await post(`resume/${NEEDS}?of=web`, { signal: 'resume' })).status).toBe(200);
  expect(resumed).toEqual([`web: ${NEEDS}`]);
});

test('an id that is in both is asked of neither where it is not said of which', async () => {
  const before = web.records(WAITS).length + mail.records(WAITS).length;
  const answer = await post(`ask/${WAITS}`, { signal: 'abort' });
  expect(answer.status).toBe(409);
  expect(await answer.text()).toContain('is in several journals: web, mail');
  expect((await post(`ask/${WAITS}?of=nowhere`, { signal: 'abort' })).status).toBe(404);
  expect((await post(`ask/${WAITS}?of=__proto__`, { signal: 'abort' })).status).toBe(404);
  expect(web.records(WAITS).length + mail.records(WAITS).length).toBe(before);
});

test('story, picture, saved page and findings are of the right one', async () => {
  const story = await (await fetch(`${server.address}saga/${NEEDS}?of=mail`)).text();
  expect(story).toContain(`resume --offline ${NEEDS} --journal '/srv/mail host/journal.db'`);
  expect((await fetch(`${server.address}picture/${NEEDS}?of=mail`)).status).toBe(200);
  expect((await fetch(`${server.address}saved/${NEEDS}?of=mail`)).status).toBe(200);
  const found = JSON.parse(await (await fetch(`${server.address}doctor`)).text()) as FindingTold[];
  expect([...new Set(found.map(({ of }) => of))].sort()).toEqual(['mail', 'web']);
  expect(found.map(({ fix }) => fix)).toContain(
    "blocksaga doctor --fix --journal '/srv/mail host/journal.db'",
  );
});

test('one that cannot be read is said to be so, and the others are shown', async () => {
  const broken: MemoryJournal = {
    ...mail,
    sagas() {
      throw new BlocksagaError('JOURNAL', 'the file is no journal');
    },
  };
  const other = await serve([
    { journal: broken, name: 'mail' },
    { journal: web, name: 'web' },
  ]);
  expect((await listOf(other)).map(({ of }) => of)).toEqual(Array.from({ length: 6 }, () => 'web'));
  expect(await newsOf(other, 'troubles')).toEqual([{ of: 'mail', message: 'the file is no journal' }]);
  await other.close();
});

test.each([
  [[{ name: 'web' }, { name: 'web' }], 'two are called "web"'],
  [[{ name: 'web' }, {}], 'one has none'],
  [Array.from({ length: 33 }, (_, at) => ({ name: `n${at}` })), 'at most 32'],
])('they can be told apart, or none is shown: %j', async (names, why) => {
  await expect(serve(names.map(each => ({ ...each, journal: web })))).rejects.toThrow(why);
});

async function listOf(of: InspectServer): Promise<readonly Listed[]> {
  return (await newsOf(of, 'list')) as readonly Listed[];
}

/** The first news of a kind. */
async function newsOf({ address }: InspectServer, kind: string): Promise<unknown> {
  const answer = await fetch(`${address}news`);
  const reader = answer.body?.getReader();
  let text = '';
  for (;;) {
    const found = new RegExp(`^event: ${kind}\ndata: (.*)\n\n`, 'm').exec(text);
    if (found !== null) {
      await reader?.cancel();
      return JSON.parse(found[1] ?? '');
    }
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) throw new Error(`no ${kind} in ${text}`);
    text += new TextDecoder().decode(chunk.value);
  }
}
