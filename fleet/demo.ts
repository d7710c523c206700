/**
 * A fleet on this machine: three real guests, the agents of two hosts, and Restate in front. The two of the first host are moved to
 * another directory while the agent, the endpoint and Restate's server are killed one after the other, then snapshots are taken at one
 * instant, on one host and across both; what holds is asked of QEMU.
 * `npm run demo`; 0 when everything held.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../src/index.ts';
import { startFleet } from './test/parts.ts';

const GUESTS = ['web', 'db'] as const;
/** On a second host. */
const OTHERS = ['mail'] as const;
const NAMES = { agent: 'the agent', endpoint: 'the endpoint', restate: 'the Restate server' } as const;

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

say('snapshotting both guests at one instant');
const members = GUESTS.map(vm => ({
  vm,
  disks: imagesOf(vm, 'instant').map((overlay, disk) => ({ disk: `dev${disk}`, overlay })),
}));
await fleet.run('instant', 'instant', { members });
check('the group has committed', (await states()).get('instant') === 'committed');
for (const guest of GUESTS) {
  const { running, fronts } = await seen(guest);
  check(`${guest} runs, on its overlays`, running && fronts.join() === imagesOf(guest, 'instant').join());
}
const ended = [...(await states()).values()];
check(
  'no saga is open',
  ended.every(state => state === 'committed'),
);

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
