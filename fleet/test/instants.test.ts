/** Instants of guests on two hosts: all on their overlays or none, while agents, the endpoint and Restate are killed. Judged by QEMU. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openJournal } from '../../src/index.ts';
import { turns } from '../../test/tiers/tier.ts';
import { type Fleet, startFleet } from './parts.ts';

const GUESTS = ['web', 'db'] as const;
const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

/** Behind the row of the group at its leader: when the victim is killed. */
const WAITS_MS = [0, 150, 500, 1_500];

let fleet: Fleet;

before(async () => {
  fleet = await startFleet(['web'], ['db']);
});
after(() => fleet[Symbol.asyncDispose]());

interface Block {
  readonly inserted?: { readonly file: string };
}

async function world(): Promise<
  readonly { readonly running: boolean; readonly fronts: readonly string[] }[]
> {
  return Promise.all(
    GUESTS.map(async guest => {
      const vm = fleet.vms.get(guest);
      assert.ok(vm);
      const { running } = (await vm.witness.execute('query-status')) as { readonly running: boolean };
      const blocks = (await vm.witness.execute('query-block')) as readonly Block[];
      return { running, fronts: blocks.map(({ inserted }) => inserted?.file ?? '') };
    }),
  );
}

function imagesOf(guest: string, name: string): readonly string[] {
  return [0, 1].map(disk => join(fleet.vms.get(guest)?.directory ?? '', `${name}${disk}.qcow2`));
}

function membersOf(name: string) {
  return GUESTS.map(vm => ({
    ...{ vm, maxBlackoutMs: MAX_BLACKOUT_MS },
    disks: imagesOf(vm, name).map((overlay, disk) => ({ disk: `dev${disk}`, overlay })),
  }));
}

const onOverlays = (name: string) => GUESTS.map(guest => ({ running: true, fronts: imagesOf(guest, name) }));

/** What both journals say of the group and of its member there. */
async function states(id: string): Promise<readonly (readonly string[])[]> {
  const told: string[][] = [];
  for (const [at, file] of [fleet.journal, fleet.second?.journal ?? ''].entries()) {
    const journal = openJournal(file);
    told.push([id, `${id}.${at}`].map(saga => journal.saga(saga)?.state ?? 'not begun'));
    await journal.close();
  }
  return told;
}

interface Member {
  readonly leftovers?: readonly string[];
}

/** What the journals say that the members of the group have left. */
async function leftovers(id: string): Promise<readonly string[]> {
  const said: string[] = [];
  for (const [at, file] of [fleet.journal, fleet.second?.journal ?? ''].entries()) {
    const journal = openJournal(file);
    said.push(...((journal.saga(`${id}.${at}`)?.result as Member | null)?.leftovers ?? []));
    await journal.close();
  }
  return said;
}

async function untilEnded(id: string): Promise<readonly (readonly string[])[]> {
  for (let looks = 0; looks < 600; looks += 1) {
    const told = await states(id);
    if (told.flat().every(state => state !== 'open' && state !== 'needsRecovery')) return told;
    await sleep(100);
  }
  return states(id);
}

const WITHOUT: readonly (readonly string[])[] = [
  ['not begun', 'not begun'],
  ['not begun', 'not begun'],
];

/** In the quick tier each victim is killed at the next two of the moments. */
const waits = turns();

describe('an instant of guests on two hosts', () => {
  test('has both on their overlays, once, however often it is asked', async () => {
    const { body } = await fleet.run('instant', 'i1', { members: membersOf('i1') });
    assert.equal(body['state'], 'committed', JSON.stringify(body));
    assert.deepEqual(body['members'], [
      { id: 'i1.0', vm: 'web', state: 'committed' },
      { id: 'i1.1', vm: 'db', state: 'committed' },
    ]);
    assert.deepEqual(await world(), onOverlays('i1'));
    const again = await fleet.run('instant', 'i1', { members: membersOf('i1') });
    assert.deepEqual([again.body, await world()], [body, onOverlays('i1')]);
  });

  test('of clones leaves copies of both beside them, and both on where they were', async () => {
    const before = await world();
    const members = GUESTS.map(vm => ({
      ...{ vm, finish: 'clone', maxBlackoutMs: MAX_BLACKOUT_MS },
      disks: imagesOf(vm, 'c1').map((to, disk) => ({ disk: `dev${disk}`, to })),
    }));
    const { body } = await fleet.run('instant', 'c1', { members });
    assert.equal(body['state'], 'committed', JSON.stringify(body));
    assert.deepEqual(await world(), before);
    for (const guest of GUESTS) for (const file of imagesOf(guest, 'c1')) assert.ok(existsSync(file), file);
  });

  test('is refused as a whole where one guest is, with nothing begun on the other host', async () => {
    const before = await world();
    const [web, db] = membersOf('i2');
    const members = [web, { ...db, disks: [{ disk: 'no-such-disk', overlay: '/nowhere/x.qcow2' }] }];
    for (const [at, order] of [members, [...members].reverse()].entries()) {
      const { status, body } = await fleet.run('instant', `i2-${at}`, { members: order });
      assert.match(String(body['message']), /no-such-disk|nowhere/, `${status} ${JSON.stringify(body)}`);
      assert.deepEqual([await world(), await states(`i2-${at}`)], [before, WITHOUT]);
    }
  });

  for (const victim of ['leader', 'follower', 'endpoint', 'restate'] as const) {
    test(`is on both or on none, and ends, where the ${victim} is killed at some moment`, async () => {
      const part = { leader: fleet.agent, follower: fleet.second?.agent, ...fleet }[victim];
      assert.ok(part);
      const sides: string[] = [];
      for (const [round, waitMs] of waits(WAITS_MS, 2).entries()) {
        const id = `${victim}-${round}`;
        const before = await world();
        const ran = fleet.run('instant', id, { members: membersOf(id) });
        let isOver = false;
        ran.finally(() => {
          isOver = true;
        });
        while (!isOver && (await states(id))[0]?.[0] === 'not begun') await sleep(5);
        await sleep(waitMs);
        await part.end();
        await sleep(50);
        await part.start();
        const { status, body } = await ran;
        const told = await untilEnded(id);
        const now = await world();
        const isNew = JSON.stringify(now) === JSON.stringify(onOverlays(id));
        assert.ok(
          isNew || JSON.stringify(now) === JSON.stringify(before),
          `${id}: ${JSON.stringify([before, now, told])}`,
        );
        const known = isNew ? ['committed'] : ['rolledBack', 'not begun'];
        assert.ok(
          told.flat().every(state => known.includes(state)),
          `${id}: ${JSON.stringify(told)}`,
        );
        if (!isNew) {
          const left = GUESTS.flatMap(guest => imagesOf(guest, id)).filter(file => existsSync(file));
          const said = await leftovers(id);
          const sizes = left.map(file => statSync(file).size);
          assert.deepEqual(left, [], `${id}: ${sizes} bytes, ${said}`);
          // Whom the whole was told, was told that too.
          if (status === 200 && body['state'] === 'rolledBack') {
            const members = body['members'] as readonly Member[];
            assert.deepEqual(
              members.flatMap(each => each.leftovers ?? []),
              said,
            );
          }
        }
        sides.push(isNew ? 'new' : 'old');
      }
      console.log(`${victim}: ${sides.join(' ')}`);
    });
  }

  test('by the command tells both members', async () => {
    const file = join(fleet.vms.get('web')?.directory ?? '', 'group.json');
    writeFileSync(file, JSON.stringify(membersOf('cli')));
    const blocksaga = join(import.meta.dirname, '../../src/cli/main.ts');
    const args = [blocksaga, 'fleet', 'snapshot', '--group', file, '--id', 'cli'];
    const env = { ...process.env, BLOCKSAGA_FLEET: fleet.ingress };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      env,
      encoding: 'utf8',
      timeout: 120_000,
    });
    assert.deepEqual(
      [status, stdout],
      [0, 'cli.0  committed\ncli.1  committed\ngroup cli: committed\n'],
      stderr,
    );
    assert.deepEqual(await world(), onOverlays('cli'));
  });
});
