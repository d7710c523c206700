/**
 * A fleet on this machine: two real guests, their agent, and Restate in front. One guest is copied while the agent, the endpoint and
 * Restate's server are killed one after the other, then both are snapshotted at one instant; what holds is asked of QEMU.
 * `npm run demo`; 0 when everything held.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../src/index.ts';
import { startFleet } from './test/parts.ts';

const GUESTS = ['web', 'db'] as const;
const NAMES = { agent: 'the agent', endpoint: 'the endpoint', restate: 'the Restate server' } as const;

interface Block {
  readonly inserted?: { readonly file: string };
}

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

say('starting two guests, their agent, the endpoint and a Restate server');
await using fleet = await startFleet(GUESTS);

function imagesOf(guest: string, name: string): readonly string[] {
  const directory = fleet.vms.get(guest)?.directory ?? '';
  return [0, 1].map(disk => join(directory, `${name}${disk}.qcow2`));
}

async function isOn(guest: string, files: readonly string[]): Promise<boolean> {
  const vm = fleet.vms.get(guest);
  if (vm === undefined) return false;
  const { running } = (await vm.witness.execute('query-status')) as { readonly running: boolean };
  const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
  return running && blocks.every((block, disk) => block.inserted?.file === files[disk]);
}

async function standing(saga: string): Promise<{ readonly result: object | null }> {
  const response = await fleet.askAgent(`/sagas/${saga}`);
  return (await response.json()) as { readonly result: object | null };
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
  const files = imagesOf('web', id);
  say(`copying both disks of web; ${NAMES[victim]} is killed meanwhile (SIGKILL)`);
  const disks = files.map((to, disk) => ({ disk: `dev${disk}`, to }));
  const invocation = await fleet.send('web', 'copy', { id, disks, bandwidth: 8 * 1024 * 1024 });
  while (!(await states()).has(id)) await sleep(20);
  await sleep(300);
  await fleet[victim].end();
  await sleep(300);
  await fleet[victim].start();
  const { body } = await fleet.attach(invocation);
  check(`the copy ended as committed, in one saga`, body['outcome'] === 'committed' && body['saga'] === id);
  check('web runs, with both disks on their copies', await isOn('web', files));
}

say('snapshotting both guests at one instant');
const members = GUESTS.map(vm => ({
  vm,
  disks: imagesOf(vm, 'instant').map((overlay, disk) => ({ disk: `dev${disk}`, overlay })),
}));
await fleet.askAgent('/groups/instant', { members });
while ((await standing('instant')).result === null) await sleep(50);
check('the group has committed', (await states()).get('instant') === 'committed');
for (const guest of GUESTS)
  check(`${guest} runs, on its overlays`, await isOn(guest, imagesOf(guest, 'instant')));
const ended = [...(await states()).values()];
check(
  'no saga is open',
  ended.every(state => state === 'committed'),
);

say(broken === 0 ? `all ${held} checks held` : `${broken} of ${held + broken} checks are BROKEN`);
process.exitCode = broken === 0 ? 0 : 1;
