/**
 * A fleet on this machine: three real guests, the agents of two hosts, and Restate in front. The two of the first host are moved to
 * another directory, then cloned and snapshotted at one instant, while the agent, the endpoint and Restate's server are killed one after
 * the other; a last snapshot is of one instant across both hosts. What holds is asked of QEMU.
 * `npm run demo`; 0 when everything held.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../src/index.ts';
import { startFleet } from './test/parts.ts';

const GUESTS = ['web', 'db'] as const;
/** On a second host. */
const OTHERS = ['mail'] as const;
const NAMES = { agent: 'the agent', endpoint: 'the endpoint', restate: 'the Restate server' } as const;

const LOOK_MS = 100;
const LOOKS_MAX = 600;

interface Block {
  readonly inserted?: { readonly file: string };
}

/** Where guests are moved to; they go with the guests. */
const directories: string[] = [];
let held = 0;
let broken = 0;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function check(what: string, isTrue: boolean): void {
  if (isTrue) held += 1;
  else broken += 1;
  say(`  ${isTrue ? 'held' : 'BROKEN'}: ${what}`);
}

say('starting three guests, the agents of two hosts, the endpoint and a Restate server');
await using undo = new AsyncDisposableStack();
undo.defer(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
const fleet = undo.use(await startFleet(GUESTS, OTHERS));

function imagesOf(guest: string, name: string): readonly string[] {
  const directory = fleet.vms.get(guest)?.directory ?? '';
  return [0, 1].map(disk => join(directory, `${name}${disk}.qcow2`));
}

/** Asked of QEMU by a monitor of this program's own. */
async function seen(
  guest: string,
): Promise<{ readonly running: boolean; readonly fronts: readonly string[] }> {
  const vm = fleet.vms.get(guest);
  if (vm === undefined) return { running: false, fronts: [] };
  const { running } = (await vm.witness.execute('query-status')) as { readonly running: boolean };
  const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
  return { running, fronts: blocks.map(({ inserted }) => inserted?.file ?? '') };
}

async function states(): Promise<ReadonlyMap<string, string>> {
  const journal = openJournal(fleet.journal);
  try {
    return new Map(journal.sagas().map(({ id, state }) => [id, state]));
  } finally {
    await journal.close();
  }
}

for (const victim of ['agent', 'endpoint', 'restate'] as const) {
  const id = `move-${victim}`;
  say(`moving both guests; ${NAMES[victim]} is killed meanwhile (SIGKILL)`);
  const to = mkdtempSync(join(tmpdir(), `blocksaga-${id}-`));
  directories.push(to);
  const sagas = GUESTS.map(guest => `${id}.${guest}`);
  const moving = fleet.run('move', id, {
    ...{ to, host: 'h1', as: '{guest}-{disk}.qcow2', bandwidth: 8 * 1024 * 1024, atOncePerHost: 2 },
  });
  let isOver = false;
  moving.finally(() => {
    isOver = true;
  });
  const isBegun = async () => {
    const known = await states();
    return sagas.some(saga => known.has(saga));
  };
  while (!isOver && !(await isBegun())) await sleep(20);
  await sleep(300);
  await fleet[victim].end();
  await sleep(300);
  await fleet[victim].start();
  const { body } = await moving;
  check('the move has come to its end', body['state'] === 'done');
  if (body['state'] !== 'done') say(`  it says: ${JSON.stringify(body)}`);
  for (const guest of GUESTS) {
    const { running, fronts } = await seen(guest);
    check(
      `${guest} runs, with both disks in the new directory`,
      running && fronts.every(file => dirname(file) === to),
    );
  }
  const all = await states();
  check(
    'each copy was one saga, and committed',
    sagas.every(saga => all.get(saga) === 'committed'),
  );
}

/** Whether all sagas of the host have ended, within a minute. */
async function isAtRest(): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const all = [...(await states()).values()];
    if (all.every(state => state === 'committed' || state === 'rolledBack')) return true;
    await sleep(LOOK_MS);
  }
  return false;
}

for (const [victim, finish] of [
  ['agent', 'clone'],
  ['endpoint', undefined],
  ['restate', undefined],
] as const) {
  const id = `instant-${victim}`;
  const [what, doing] = finish === 'clone' ? ['copies', 'cloning'] : ['overlays', 'snapshotting'];
  say(`${doing} both guests at one instant; ${NAMES[victim]} is killed meanwhile (SIGKILL)`);
  const before = new Map<string, string>();
  for (const guest of GUESTS) before.set(guest, (await seen(guest)).fronts.join());
  const members = GUESTS.map(vm => ({
    ...{ vm, maxBlackoutMs: 20_000, ...(finish === undefined ? {} : { finish }) },
    disks: imagesOf(vm, id).map((file, disk) => ({
      disk: `dev${disk}`,
      ...(finish === undefined ? { overlay: file } : { to: file }),
    })),
  }));
  const taking = fleet.run('instant', id, { members });
  let isOver = false;
  taking.finally(() => {
    isOver = true;
  });
  while (!isOver && !(await states()).has(`${id}.0`)) await sleep(2);
  await fleet[victim].end();
  await sleep(300);
  await fleet[victim].start();
  await taking;
  check('no saga is open', await isAtRest());
  const state = (await states()).get(id);
  check(`the group has ended: ${state}`, state === 'committed' || state === 'rolledBack');
  const isMade = state === 'committed';
  for (const guest of GUESTS) {
    const { running, fronts } = await seen(guest);
    const images = imagesOf(guest, id);
    const front = isMade && finish === undefined ? images.join() : before.get(guest);
    check(
      `${guest} runs, and has ${isMade ? `all of its ${what}` : `none of its ${what}`}`,
      running && fronts.join() === front && images.every(file => existsSync(file) === isMade),
    );
  }
}

say('snapshotting web and mail, which are on two hosts, at one instant');
const across = [GUESTS[0], OTHERS[0]];
const { body: told } = await fleet.run('instant', 'across', {
  members: across.map(vm => ({
    ...{ vm, maxBlackoutMs: 20_000 },
    disks: imagesOf(vm, 'across').map((overlay, disk) => ({ disk: `dev${disk}`, overlay })),
  })),
});
check('the group has committed on both hosts', told['state'] === 'committed');
if (told['state'] !== 'committed') say(`  it says: ${JSON.stringify(told)}`);
for (const guest of across) {
  const { running, fronts } = await seen(guest);
  check(`${guest} runs, on its overlays`, running && fronts.join() === imagesOf(guest, 'across').join());
}

say(broken === 0 ? `all ${held} checks held` : `${broken} of ${held + broken} checks are BROKEN`);
process.exitCode = broken === 0 ? 0 : 1;
