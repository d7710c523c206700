/** `blocksaga fleet` before an ingress that answers as Restate does: what it asks, what it says, and what it does not believe. */

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { fakeContext } from './fake-context.ts';

type Answers = Readonly<Record<string, unknown>>;

/** Answers by method and path; whatever else is 404 with Restate's words. */
async function scene(answers: Answers) {
  const heard: { readonly what: string; readonly body: unknown }[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    const what = `${request.method} ${request.url}`;
    heard.push({ what, body: text === '' ? undefined : JSON.parse(text) });
    const answer = answers[what];
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(
      typeof answer === 'string' ? answer : JSON.stringify(answer ?? { code: 404, message: 'not found' }),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>(resolve => server.close(() => resolve())));
  const address = server.address();
  const ingress = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const folder = temporaryFolder();
  const run = async (...args: readonly string[]) => {
    const context = fakeContext({ directory: folder, env: { BLOCKSAGA_FLEET: ingress } });
    const status = await runProgram(['fleet', ...args], context);
    return { status, out: context.out, err: context.err.join('\n') };
  };
  return { run, heard, folder };
}

const STATUS = {
  host: 'h1',
  guests: [
    { vm: 'web', qmp: '/run/web.qmp' },
    { vm: 'db', qmp: '/run/db.qmp' },
  ],
  sagas: [
    { id: 's1', vm: 'web', operation: 'copy', state: 'open' },
    { id: 's2', vm: 'db', operation: 'copy', state: 'needsRecovery' },
  ],
};
const HOSTS = [
  { host: 'h1', agent: 'http://127.0.0.1:7171', status: STATUS },
  { host: 'h2', agent: 'https://h2.example:7171', status: null },
];
const DISKS = [{ disk: 'disk0', from: '/old/web.qcow2', to: '/new/web.qcow2' }];
const web = (more: object) => ({ guest: 'web', host: 'h1', saga: 'm1.web', disks: DISKS, ...more });
const moveThat = (state: string, guests: readonly object[], more = {}) => ({
  'POST /move/m1/run/send': { invocationId: 'inv_1', status: 'Accepted' },
  'GET /restate/workflow/move/m1/attach': { state, guests, ...more },
});

describe('fleet', () => {
  test('tells what Restate has paused, or tries in vain, with the hosts and with a move', async () => {
    const { run } = await scene({
      'POST /fleet/hosts/hosts': HOSTS.slice(0, 1),
      'POST /fleet/hosts/stuck': [
        { id: 'inv_1', target: 'guest/web/copy', status: 'paused', why: null },
        { id: 'inv_2', target: 'guest/db/copy', status: 'backing-off', why: 'journal mismatch' },
      ],
      'POST /move/m1/status': { state: 'moving', guests: [] },
    });
    const words = [
      'guest/web/copy  PAUSED by Restate ("restate invocations resume inv_1", or "cancel")',
      'guest/db/copy  FAILS again and again: journal mismatch ("restate invocations resume inv_2", or "cancel")',
    ];
    const { status, out, err } = await run('hosts');
    expect([status, out.slice(1), err]).toEqual([3, words, '']);
    expect(JSON.parse((await run('hosts', '--json')).out.join('')).stuck).toHaveLength(2);
    expect(await run('status', 'm1')).toMatchObject({ status: 3, err: words.join('\n') });
  });

  test('has a status of its own where it is not known what Restate has paused, but for a move that is worse', async () => {
    const known = {
      'POST /fleet/hosts/hosts': HOSTS,
      'POST /fleet/hosts/join': {},
      'POST /fleet/hosts/stuck': [],
    };
    const { 'POST /fleet/hosts/stuck': _, ...notKnown } = known;
    const statuses = async (answers: Answers, ...args: readonly string[]) =>
      (await (await scene(answers)).run(...args)).status;
    expect([await statuses(known, 'hosts'), await statuses(notKnown, 'hosts')]).toEqual([0, 5]);
    expect(await statuses(notKnown, 'join', 'http://127.0.0.1:7171')).toBe(0);
    for (const [state, status] of [
      ['done', 5],
      ['takenBack', 1],
    ] as const)
      expect(await statuses({ 'POST /move/m1/status': { state, guests: [] } }, 'status', 'm1')).toBe(status);
  });

  test('tells hosts, which of them are silent, and where each guest is', async () => {
    const { run } = await scene({ 'POST /fleet/hosts/hosts': HOSTS });
    expect(await run('hosts')).toMatchObject({
      status: 5,
      out: [
        'h1  http://127.0.0.1:7171  2 guests, 1 saga under way, 1 saga NEEDS RECOVERY: "blocksaga sagas" there',
        'h2  https://h2.example:7171  DOES NOT ANSWER',
      ],
    });
    expect((await run('hosts')).err).toContain('whether Restate has paused anything is not known: not found');
    const { out, err } = await run('vms');
    expect(out).toEqual(['web  on h1: copy s1 (open)', 'db  on h1: copy s2 (needsRecovery)']);
    expect(err).toBe('h2 does not answer: its guests are not shown');
    expect(JSON.parse((await run('vms', '--json', '--host', 'h1')).out.join(''))).toEqual({
      type: 'vms',
      guests: [
        { vm: 'web', host: 'h1' },
        { vm: 'db', host: 'h1' },
      ],
    });
  });

  test('asks for a move once by its id, with what was said and nothing more', async () => {
    const { run, heard } = await scene(moveThat('done', [web({ state: 'committed', blackoutMs: 12.34 })]));
    const args = ['--to', '/new', '--below', '/old', '--host', 'h1', '--policy', 'goOn', '--bandwidth', '2M'];
    const blackout = ['--max-blackout', '250'];
    expect(await run('move', ...args, ...blackout, '--id', 'm1')).toEqual({
      status: 0,
      out: [
        'web  on h1  committed, paused for 12.3 ms',
        '    disk0  /old/web.qcow2 -> /new/web.qcow2',
        'move m1 is done: every guest is on its new images (1 committed)',
      ],
      err: 'move m1: "blocksaga fleet status m1" tells how far it is',
    });
    const said = { to: '/new', below: '/old', host: 'h1', policy: 'goOn' };
    const body = { ...said, bandwidth: 2 * 1024 * 1024, maxBlackoutMs: 250 };
    expect(heard[0]).toEqual({ what: 'POST /move/m1/run/send', body });
  });

  test.each([
    ['done', [web({ state: 'committed' })], 0],
    ['planned', [web({ state: 'waits' })], 0],
    ['done', [web({ state: 'rolledBack', why: 'no space' })], 1],
    ['incomplete', [web({ state: 'rolledBack', why: 'no space' })], 1],
    ['done', [web({ state: 'refused', why: 'no such directory' })], 1],
    ['stopped', [web({ state: 'waits' })], 1],
    ['takenBack', [web({ state: 'movedBack' })], 1],
    ['refused', [web({ state: 'refused', why: 'no such directory' })], 2],
    ['done', [web({ state: 'needsRecovery' })], 3],
    ['done', [web({ state: 'failed', why: 'the agent has not answered' })], 3],
  ])('ends with a status for a move that is %s with %j', async (state, guests, status) => {
    const { run } = await scene(moveThat(state, guests));
    expect((await run('move', '--to', '/new', '--id', 'm1')).status).toBe(status);
  });

  test('does not believe that a move is done whose guests have merely ended', async () => {
    const { run } = await scene(moveThat('done', [web({ state: 'rolledBack', why: 'paused for too long' })]));
    const { out } = await run('move', '--to', '/new', '--id', 'm1', '--json');
    expect(JSON.parse(out.join(''))).toMatchObject({ state: 'incomplete' });
    expect((await run('move', '--to', '/new', '--id', 'm1')).out.at(-1)).toBe(
      'move m1 has come to its end, and some guests are NOT on their new images (1 rolledBack)',
    );
  });

  test('takes an instant of the guests in a file', async () => {
    const { run, heard, folder } = await scene({
      'POST /instant/i1/run/send': {},
      'GET /restate/workflow/instant/i1/attach': {
        id: 'i1',
        state: 'committed',
        members: [{ id: 'i1.0', state: 'committed' }],
      },
    });
    const members = [{ vm: 'web', disks: [{ disk: 'disk0', overlay: '/s/web.qcow2' }] }];
    writeFileSync(join(folder, 'group.json'), JSON.stringify(members));
    expect(await run('snapshot', '--group', 'group.json', '--id', 'i1')).toMatchObject({
      status: 0,
      out: ['i1.0  committed', 'group i1: committed'],
    });
    expect(heard[0]?.body).toEqual({ members });
    const own = { vm: 'db', maxBlackoutMs: 100, disks: [{ disk: 'disk0', overlay: '/s/db.qcow2' }] };
    writeFileSync(join(folder, 'group.json'), JSON.stringify([...members, own]));
    await run('snapshot', '--group', 'group.json', '--id', 'i1', '--max-blackout', '500');
    const bounded = members.map(member => ({ ...member, maxBlackoutMs: 500 }));
    expect(heard.at(-2)?.body).toEqual({ members: [...bounded, own] });
    writeFileSync(join(folder, 'group.json'), '[{ "qmp": "/run/web.qmp" }]');
    expect(await run('snapshot', '--group', 'group.json')).toMatchObject({
      status: 2,
      err: expect.stringContaining('guest 1 has no "vm" and "disks"'),
    });
  });

  test('has guests cloned at one instant', async () => {
    const { run, folder, heard } = await scene({
      'POST /instant/b1/run/send': {},
      'GET /restate/workflow/instant/b1/attach': { id: 'b1', state: 'committed', members: [] },
    });
    const disks = [{ disk: 'disk0', to: '/backup/web.qcow2' }];
    writeFileSync(join(folder, 'group.json'), JSON.stringify([{ vm: 'web', disks }]));
    expect(await run('clone', '--group', 'group.json', '--id', 'b1')).toMatchObject({ status: 0 });
    expect(heard.at(-2)?.body).toEqual({ members: [{ vm: 'web', finish: 'clone', disks }] });
    expect((await run('clone')).err).toContain('clone needs --group FILE');
  });

  test('tells what the guests of a move and of an instant have left, each with its own', async () => {
    const left = '/new/web.qcow2: whose it is cannot be told';
    const { run, folder } = await scene({
      ...moveThat('incomplete', [web({ state: 'rolledBack', leftovers: [left] })]),
      'POST /instant/i1/run/send': {},
      'GET /restate/workflow/instant/i1/attach': {
        id: 'i1',
        state: 'rolledBack',
        members: [
          { id: 'i1.0', vm: 'web', state: 'rolledBack', leftovers: [left] },
          { id: 'i1.1', vm: 'db', state: 'rolledBack' },
        ],
      },
    });
    const disk = '    disk0  /old/web.qcow2 -> /new/web.qcow2';
    const { out } = await run('move', '--to', '/new', '--id', 'm1');
    expect(out.slice(0, -1)).toEqual(['web  on h1  rolledBack', disk, `    left behind: ${left}`]);
    writeFileSync(join(folder, 'group.json'), JSON.stringify([{ vm: 'web', disks: [{ disk: 'disk0' }] }]));
    const snapshot = ['snapshot', '--group', 'group.json', '--id', 'i1'];
    expect((await run(...snapshot)).out).toEqual([
      ...['i1.0  rolledBack', `    left behind: ${left}`, 'i1.1  rolledBack'],
      'group i1: rolledBack',
    ]);
    expect(JSON.parse((await run(...snapshot, '--json')).out.join(''))).toMatchObject({
      members: [{ leftovers: [left] }, { id: 'i1.1' }],
    });
  });

  test.each([
    ['nothing', [], /missing required argument 'action'/],
    ['what it does not know', ['mvoe'], /choices are hosts, vms/],
    ['a move to nowhere', ['move'], /move needs --to DIRECTORY/],
    ['no host to join', ['join'], /say the address of its agent/],
    ['no guest to abort', ['abort'], /say the name of the guest/],
    [
      'a policy that is none',
      ['move', '--to', '/x', '--policy', 'all'],
      /one of stopAtFirst, goOn, takeBackAll/,
    ],
    [
      'an ingress that is no address',
      ['hosts', '--ingress', 'restate'],
      /say the address of Restate's ingress/,
    ],
    [
      'an ingress of another kind',
      ['hosts', '--ingress', 'file:///etc/passwd'],
      /say the address of Restate's ingress/,
    ],
  ])('refuses %s', async (_what, args, why) => {
    const { run, heard } = await scene({});
    const { status, err } = await run(...args);
    expect([status, why.test(err), heard], err).toEqual([2, true, []]);
  });

  test('believes nothing that is not of the shape it should have, and says when nothing answers', async () => {
    const { run } = await scene({
      'POST /fleet/hosts/hosts': [{ host: 7 }],
      'POST /move/m2/status': 'no JSON',
    });
    expect(await run('hosts')).toMatchObject({
      status: 2,
      err: expect.stringContaining('answered something else'),
    });
    expect(await run('status', 'm2')).toMatchObject({
      status: 2,
      err: expect.stringContaining('answered no JSON'),
    });
    expect(await run('stop', 'm3')).toMatchObject({ status: 2, err: expect.stringContaining('not found') });
    const silent = await run('hosts', '--ingress', 'http://127.0.0.1:9');
    expect(silent).toMatchObject({ status: 2, err: expect.stringMatching(/does not answer.*--ingress/) });
  });

  test('prints no escape of a terminal that a host calls itself by', async () => {
    const { run } = await scene({ 'POST /fleet/hosts/hosts': [{ ...HOSTS[1], host: 'h\u001b[2J' }] });
    expect((await run('hosts')).out[0]).toMatch(/^h\\u001b\[2J/);
  });
});
