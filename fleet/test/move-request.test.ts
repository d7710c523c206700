/** Which disks a move selects, and under which names they go where. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collisionsIn, copyRequest, moveRequest, movesOf } from '../src/moves/request.ts';

const disk = (file: string, more = {}) => ({ disk: 'disk0', readOnly: false, chain: [{ file }], ...more });
const request = (more: object = {}) => moveRequest.parse({ to: '/new', ...more });
const targets = (files: readonly string[], more: object = {}) =>
  movesOf(
    'web',
    files.map(file => disk(file)),
    request(more),
  ).map(({ to }) => to);

describe('the disks of a move', () => {
  test('are those below a directory, and no other that only begins like it', () => {
    const files = [
      '/old/a.qcow2',
      '/old/deep/b.qcow2',
      '/older/c.qcow2',
      '/old',
      '/o/../old/d.qcow2',
      'nbd://x/old',
    ];
    assert.deepEqual(targets(files, { below: '/old' }), ['/new/a.qcow2', '/new/b.qcow2', '/new/d.qcow2']);
    assert.deepEqual(targets(files, { below: '/old/' }), ['/new/a.qcow2', '/new/b.qcow2', '/new/d.qcow2']);
  });

  test('leave out what is read-only, has no medium, or is there already', () => {
    const disks = [
      disk('/a.iso', { readOnly: true }),
      disk('', { chain: [] }),
      disk('/new/b.qcow2'),
      disk('/c.qcow2'),
    ];
    assert.deepEqual(movesOf('web', disks, request()), [
      { disk: 'disk0', from: '/c.qcow2', to: '/new/c.qcow2' },
    ]);
  });

  test('get the names that are asked for, in that directory alone', () => {
    assert.deepEqual(targets(['/old/a.qcow2'], { as: '{guest}-{disk}-{file}' }), ['/new/web-disk0-a.qcow2']);
    const [hostile] = movesOf('..', [disk('/a', { disk: '../../x' })], request({ as: '{guest}{disk}' }));
    assert.equal(hostile?.to, '/new/...._.._x');
    for (const as of ['../x', 'a/b', '']) assert.ok(!moveRequest.safeParse({ to: '/new', as }).success, as);
  });

  test('are refused where two of one host would get one name, with both', () => {
    const disks = movesOf('web', [disk('/a/x.qcow2'), disk('/b/x.qcow2', { disk: 'disk1' })], request());
    assert.match(
      collisionsIn([{ guest: 'web', host: 'h1', disks }]).join(),
      /\/new\/x.qcow2 on h1 .*disk0.*disk1.*\{guest\}-\{file\}/,
    );
    const elsewhere = disks.slice(0, 1);
    assert.deepEqual(
      collisionsIn([
        { guest: 'web', host: 'h1', disks: elsewhere },
        { guest: 'db', host: 'h2', disks: elsewhere },
      ]),
      [],
    );
  });
});

describe('the copy of one guest of a move', () => {
  const disks = [{ disk: 'disk0', from: '/old/a', to: '/new/a' }];

  test('has the bounds of the move', () => {
    const bounds = { bandwidth: 1_000, maxBlackoutMs: 250 };
    assert.deepEqual(copyRequest('m1.web', disks, request(bounds)), {
      ...bounds,
      ...{ id: 'm1.web', disks: [{ disk: 'disk0', to: '/new/a' }] },
    });
  });

  test('has those of its agent where the move says none', () => {
    assert.deepEqual(Object.keys(copyRequest('m1.web', disks, request())), ['id', 'disks']);
  });

  test('may not be paused for no time', () => {
    for (const maxBlackoutMs of [0, -1, 0.5, '250'])
      assert.equal(moveRequest.safeParse({ to: '/new', maxBlackoutMs }).success, false);
  });
});
