/** What the names that QEMU makes up for open images tell; the json: ones are as QEMU 5.2 to 11.1 print them. */
import { expect, test } from 'vitest';
import { formatOf, pathInHeader, readImageName, relativeInHeader } from '../../src/plan/image-ref.ts';

const json = (options: object) => `json:${JSON.stringify(options)}`;
const file = { driver: 'file', filename: '/i/a' };

test.each([
  ['/i/a.qcow2', '/i/a.qcow2'],
  ['nbd://host:10809/disk', 'nbd://host:10809/disk'],
  [json({ driver: 'qcow2', file, backing: null }), '/i/a'],
  [json({ driver: 'qcow2', file, backing: { driver: 'raw', offset: 5, file } }), '/i/a'],
  [json({ driver: 'qcow2', file, 'encrypt.key-secret': 'sec0' }), '/i/a'],
  [json({ driver: 'luks', file, 'key-secret': 'sec0' }), '/i/a'],
  [json({ driver: 'qcow2', file: { driver: 'raw', file } }), '/i/a'],
])('%s is named by its file', (name, path) => {
  expect(readImageName(name)).toMatchObject({ file: path, unnameable: null, isCutShort: false });
});

test.each([
  [
    json({ driver: 'raw', offset: 1048576, size: 16777216, file }),
    /slice of \/i\/a \(offset 1048576, size 16777216\)/,
  ],
  [json({ driver: 'qcow2', file: { driver: 'raw', size: 512, file } }), /slice/],
  [json({ driver: 'throttle', 'throttle-group': 'g', file }), /throttle-group/],
  [json({ driver: 'qcow2', file: { driver: 'quorum', children: [] } }), /quorum/],
  ['/dev/fdset/3', /file descriptor/],
  ['/proc/self/fd/7', /file descriptor/],
  ['vm:1 disk', /no absolute path/],
  ['a.qcow2', /no absolute path/],
  [`${json({ driver: 'qcow2', file }).slice(0, -4)}...`, /longer than QEMU keeps/],
])('%s is no name for a header', (name, why) => {
  expect(readImageName(name).unnameable).toMatch(why);
});

test('the secret object is told by its id, wherever it stands', () => {
  const secrets = [
    { driver: 'qcow2', file, 'encrypt.key-secret': 'a' },
    { driver: 'qcow2', file, encrypt: { format: 'luks', 'key-secret': 'a' } },
    { driver: 'luks', file, 'key-secret': 'a' },
  ].map(options => readImageName(json(options)).secret);
  expect(secrets).toEqual(['a', 'a', 'a']);
  expect(readImageName('/i/a').secret).toBe(null);
});

test('what is on a protocol is raw, and a colon in a relative path is none of a protocol', () => {
  expect(['file', 'host_device', 'nbd', 'qcow2', 'luks', 'throttle'].map(formatOf)).toEqual([
    ...['raw', 'raw', 'raw', 'qcow2', 'luks', 'throttle'],
  ]);
  expect([relativeInHeader('vm:1 disk'), relativeInHeader('../vm:1 disk')]).toEqual([
    './vm:1 disk',
    '../vm:1 disk',
  ]);
  expect(pathInHeader('vm:1 disk', '/i/top')).toBe(undefined);
  expect(pathInHeader('./vm:1 disk', '/i/top')).toBe('/i/vm:1 disk');
  expect(pathInHeader('/b/a:b', '/i/top')).toBe('/b/a:b');
});
