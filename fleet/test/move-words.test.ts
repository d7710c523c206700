/**
 * What a move, and an instant, says of itself, before agents that die in front of an answer and sagas that come to every end: done is nothing but every
 * guest on its new images. The server is Restate's, the agents answer by a script.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MoveReport } from '../src/moves/report.ts';
import { type FakeGuest, type Scripted, startFakeAgent } from './fake-agent.ts';
import { type Fleet, startFleet } from './parts.ts';

let fleet: Fleet;
before(async () => {
  fleet = await startFleet([]);
});
after(() => fleet[Symbol.asyncDispose]());

/** Many more than the lives which its tries may last for, each of some seconds. */
const KILLS_MAX = 25;
const LOOKS_A_LIFE = 60;
const TRIES_A_LIFE = 4;

let hosts = 0;

/** A move of these guests, whose host has an agent of its own. */
async function moved(guests: Readonly<Record<string, FakeGuest>>, more: object = {}) {
  hosts += 1;
  const host = `fake${hosts}`;
  await using agent = await startFakeAgent(host, guests);
  assert.equal((await fleet.ask('fleet/hosts/join', agent.url)).status, 200);
  const { body } = await fleet.run('move', `m${hosts}`, { to: '/new', host, ...more });
  await fleet.ask('fleet/hosts/leave', host);
  const report = body as object as MoveReport;
  return {
    ...{ report, heard: agent.heard, state: report.state },
    leftovers: report.guests.map(({ leftovers = [] }) => leftovers.join()),
    states: report.guests.map(
      ({ guest, state, why }) => `${guest} ${state}${why === undefined ? '' : `: ${why}`}`,
    ),
  };
}

const ACCEPTED: Scripted = { status: 202, body: {} };
const OPEN: Scripted = { status: 200, body: { state: 'open', waiting: false, result: null } };
const AWAY: Scripted = { status: 503, body: { message: 'it is being started' } };

function ended(
  outcome: string,
  file = '/new/x',
  error: string | null = null,
  leftovers: readonly string[] = [],
): Scripted {
  const disks = [{ disk: 'disk0', before: { file: '/old/x' }, after: file === '' ? null : { file } }];
  const told = error === null ? null : { message: error };
  const result = { outcome, disks, blackoutMs: 5, error: told, leftovers };
  return { status: 200, body: { state: outcome, waiting: false, result } };
}

const COMMITTED: FakeGuest = { submit: [ACCEPTED], look: [OPEN, ended('committed')] };

describe('a move is done', () => {
  test('where its agent died before it had begun the saga, and again behind it', async () => {
    const web: FakeGuest = {
      submit: ['dies', AWAY, 'dies', ACCEPTED],
      look: ['dies', AWAY, OPEN, 'dies', ended('committed')],
    };
    const { state, states, heard } = await moved({ web });
    assert.deepEqual([state, states], ['done', ['web committed']]);
    assert.equal(heard.filter(each => each.startsWith('POST')).length, 4);
  });
});

describe('a move is not done', () => {
  const ends: readonly (readonly [string, FakeGuest, RegExp])[] = [
    [
      'whose guest was rolled back behind the death of its agent',
      {
        submit: ['dies', ACCEPTED],
        look: ['dies', OPEN, ended('rolledBack', '/old/x', 'paused for too long')],
      },
      /^web rolledBack: paused for too long$/,
    ],
    [
      'whose guest needs recovery',
      { submit: [ACCEPTED], look: [ended('needsRecovery', '', 'QEMU does not answer')] },
      /^web needsRecovery: QEMU does not answer$/,
    ],
    [
      'whose agent came back without its journal',
      { submit: [ACCEPTED], look: ['dies', { status: 404, body: { message: 'there is no saga' } }] },
      /^web failed: .*there is no saga/,
    ],
    [
      'whose guest is refused when its turn comes',
      { submit: [{ status: 409, body: { message: 'another saga has it' } }], look: [] },
      /^web failed: .*another saga has it/,
    ],
    [
      'whose copies were kept without a switch',
      { submit: [ACCEPTED], look: [ended('committed', '/old/x')] },
      /^web failed: its saga has committed, but not onto all of the new images: disk0 is on \/old\/x$/,
    ],
    [
      'whose disk was unplugged',
      { submit: [ACCEPTED], look: [ended('committed', '')] },
      /^web failed: .*disk0 is unplugged$/,
    ],
    [
      'of which an outcome comes that it does not know',
      { submit: [ACCEPTED], look: [ended('ready')] },
      /^web failed/,
    ],
  ];
  for (const [what, web, why] of ends) {
    test(what, async () => {
      for (const policy of ['stopAtFirst', 'goOn']) {
        const { state, states } = await moved({ web, db: COMMITTED }, { policy });
        assert.equal(state, 'incomplete', JSON.stringify(states));
        assert.match(states[0] ?? '', why);
        assert.equal(states[1], 'db committed');
      }
    });
  }

  test('where guests are left out, which is another word', async () => {
    const web: FakeGuest = { submit: [ACCEPTED], look: [ended('rolledBack')] };
    const { state, states } = await moved({ web, db: COMMITTED }, { atOnce: 1 });
    assert.deepEqual([state, states], ['stopped', ['web rolledBack', 'db waits']]);
  });
});

describe('what a saga has left on its host', () => {
  const LEFT = '/new/web: whose it is cannot be told';

  test('is in the report of its move', async () => {
    const web: FakeGuest = { submit: [ACCEPTED], look: [ended('rolledBack', '/old/x', null, [LEFT])] };
    const { leftovers } = await moved({ web, db: COMMITTED }, { policy: 'goOn' });
    assert.deepEqual(leftovers, [LEFT, '']);
  });

  test('is told with the other members of its instant, also those of another host', async () => {
    const part = (vm: string, id: string, more: object): FakeGuest => ({
      submit: [ACCEPTED],
      look: [
        {
          status: 200,
          body: {
            ...{ id: 'left', state: 'rolledBack', waiting: false },
            result: { saga: 'left', outcome: 'rolledBack', leftovers: [] },
            members: [{ id, vm, state: 'rolledBack', ...more }],
          },
        },
      ],
    });
    const unasked: FakeGuest = { submit: [], look: [] };
    const leading = part('lead', 'left.0', {});
    const following = part('follow', 'left.1', { leftovers: [LEFT] });
    await using first = await startFakeAgent('first', { lead: unasked }, leading);
    await using second = await startFakeAgent('second', { follow: unasked }, following);
    for (const { url } of [first, second])
      assert.equal((await fleet.ask('fleet/hosts/join', url)).status, 200);
    const members = ['lead', 'follow'].map(vm => ({ vm, disks: [{ disk: 'disk0' }] }));
    const { body } = await fleet.run('instant', 'left', { members });
    assert.deepEqual(body['members'], [
      { id: 'left.0', vm: 'lead', state: 'rolledBack' },
      { id: 'left.1', vm: 'follow', state: 'rolledBack', leftovers: [LEFT] },
    ]);
    for (const host of ['first', 'second']) await fleet.ask('fleet/hosts/leave', host);
  });
});

describe('a move', () => {
  test('is refused whose guest has no QEMU, also while Restate is killed again and again', async () => {
    const plan: Scripted = { status: 503, body: { message: 'no QEMU listens there' } };
    await using agent = await startFakeAgent('flapping', { web: { submit: [], look: [], plan: [plan] } });
    assert.equal((await fleet.ask('fleet/hosts/join', agent.url)).status, 200);
    const body = { to: '/new', host: 'flapping' };
    assert.ok((await fleet.ask('move/flapping/run/send', body)).status < 300);
    let report: Partial<MoveReport> = {};
    for (let kills = 0; kills < KILLS_MAX && report.state !== 'refused'; kills += 1) {
      const planned = agent.heard.length;
      // Killed behind a few tries of each life, so that no life tries for as long as the move may.
      for (let looks = 0; looks < LOOKS_A_LIFE; looks += 1) {
        await sleep(100);
        if (agent.heard.length > planned + TRIES_A_LIFE) break;
      }
      report = (await fleet.ask('move/flapping/status')).body as Partial<MoveReport>;
      await fleet.restate.end();
      await fleet.restate.start();
    }
    assert.equal(report.state, 'refused');
    assert.match(report.guests?.[0]?.why ?? '', /no QEMU listens there/);
    await fleet.ask('fleet/hosts/leave', 'flapping');
  });
});

describe('an instant', () => {
  test('that an agent does not take is given up in words, and says that it takes another id', async () => {
    const group: FakeGuest = { submit: [AWAY], look: [OPEN] };
    await using agent = await startFakeAgent('silent', { db: COMMITTED }, group);
    assert.equal((await fleet.ask('fleet/hosts/join', agent.url)).status, 200);
    const members = [{ vm: 'db', disks: [{ disk: 'disk0', overlay: '/images/db.qcow2' }] }];
    const { status, body } = await fleet.run('instant', 'given-up', { members });
    await fleet.ask('fleet/hosts/leave', 'silent');
    assert.equal(status, 500);
    assert.match(
      String(body['message']),
      /it is being started: given up after 40 s.*look at the guests, then ask again with another id$/,
    );
    assert.ok(agent.heard.filter(each => each.startsWith('POST')).length > 1);
  });
});
