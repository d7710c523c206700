/** A saga whose process has ended is resumed in the process of the page, when a person asks for that, and from no living process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import { ResumeHere } from '../../src/inspect/resume-here.ts';
import { type InspectServer, serveInspect } from '../../src/inspect/server.ts';
import { type MemoryJournal, memoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import { serveSim } from '../../src/sim/serve.ts';
import type { Story } from '../../src/story/story.ts';

const FILES = new Map([['page.html', { type: 'text/html', text: '' }]]);

interface Subject {
  readonly server: InspectServer;
  readonly journal: MemoryJournal;
  readonly here: ResumeHere;
  readonly ends: string[];
}

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A copy that waits at READY; its process has given it up, or has not. */
async function waiting(isGivenUp: boolean): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'resume-here-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const listen = join(folder, 'qmp');
  const { sim, close } = await serveSim({ listen, disks: 2, sizeBytes: 2 ** 20 });
  closing.push(close);
  const journal = memoryJournal();
  const first = createEngine({ journal });
  const disks = sim.world.fronts().map(({ node, path }) => ({ disk: node, to: `${path}.copy` }));
  const saga = await first.copy({ qmp: listen, files: sim.files, id: 's', vm: 'v', disks, finish: 'leave' });
  expect((await saga.result).outcome).toBe('ready');
  if (isGivenUp) await first.close();
  else closing.push(() => first.close());
  const ends: string[] = [];
  const here = new ResumeHere({
    ...{ journal, clock: systemClock, guest: { files: sim.files } },
    ended: (_, how) => ends.push(how),
  });
  closing.push(() => here.close(AbortSignal.abort()));
  const server = await serveInspect({
    ...{ journal, clock: systemClock, files: FILES },
    processes: { isAlive: ({ pid }) => pid !== 0 },
    resume: (id, how) => here.resume(id, how),
  });
  closing.push(() => server.close());
  return { server, journal, here, ends };
}

function post({ server }: Subject, signal: string, headers = { origin: new URL(server.address).origin }) {
  return fetch(`${server.address}resume/s`, { method: 'POST', headers, body: JSON.stringify({ signal }) });
}

async function storyOf({ server }: Subject): Promise<Story> {
  const story: Story = JSON.parse(await (await fetch(`${server.address}saga/s`)).text());
  return story;
}

test('a saga that waits and has no process is resumed here, and switched, and the page says how it could be', async () => {
  const subject = await waiting(true);
  expect((await storyOf(subject)).resumes).toEqual(['resume', 'abort', 'pivot', 'keepCopies']);
  expect((await storyOf(subject)).asks).toEqual([]);
  expect((await post(subject, 'pivot')).status).toBe(200);
  await expect.poll(() => subject.journal.saga('s')?.state).toBe('committed');
  await expect.poll(() => subject.ends).toEqual(['committed']);
  const story = await storyOf(subject);
  expect(story.takeovers).toMatchObject([{ after: 'released' }]);
  expect(story.resumes).toEqual([]);
});

test('resumed without a word it waits on in this process, and is asked like any other', async () => {
  const subject = await waiting(true);
  expect((await post(subject, 'resume')).status).toBe(200);
  const story = await storyOf(subject);
  expect(story.isRunning).toBe(true);
  expect(story.resumes).toEqual([]);
  expect(story.asks).toContain('pivot');
  expect(subject.here.running).toEqual(['s']);
  expect(await (await post(subject, 'resume')).json()).toMatchObject({ refused: { code: 'SAGA_STATE' } });
});

test('no saga is taken from a process that lives, and no page of another site has one resumed', async () => {
  const subject = await waiting(false);
  expect((await storyOf(subject)).resumes).toEqual([]);
  const answer = await post(subject, 'resume');
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ refused: { code: 'VM_BUSY' } });
  expect((await post(subject, 'resume', { origin: 'http://elsewhere.example' })).status).toBe(403);
  expect(await (await post(subject, 'force')).json()).toMatchObject({ refused: { code: 'REQUEST_INVALID' } });
  const noSecret = `${new URL(subject.server.address).origin}/resume/s`;
  const headers = { origin: new URL(subject.server.address).origin };
  expect((await fetch(noSecret, { method: 'POST', headers, body: '{}' })).status).toBe(404);
});
