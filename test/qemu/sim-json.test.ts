/** What the simulator answers on its socket to what is no JSON, or is JSON only to QEMU, and what a real QEMU answers to the same bytes. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { serveSim } from '../../src/sim/serve.ts';

/** Latin-1: a character is a byte. */
const TEXTS = [
  // a member given twice
  ...[
    '{"execute":"query-status","execute":"query-name"}',
    '{"execute":"stop","arguments":{"a":1,"a":2},"id":7}',
  ],
  ...['{"execute":"query-status","id":{"x":1,"x":{"y":[2]}}}', '{"a":{"b":nope,"b":2}}'],
  // what is not where it should be
  ...[
    '{"execute":}',
    '{"execute" "query-status"}',
    '{"execute":"query-status" "id":1}',
    '{"execute":"stop",}',
  ],
  ...[
    '{,}',
    '{1:2}',
    '{"a":}',
    '{[]:1}',
    '{null:1}',
    '[1 2]',
    '[1,]',
    '[,1]',
    '[:]',
    'nul',
    '{"a":nulx}',
    '}',
    ']',
    '{]',
    '[}',
  ],
  ...[
    '{"execute":"query-status"]}',
    '{"execute":"stop","id":1,}{"execute":"query-status"}',
    ',',
    ':',
    '"a":1',
  ],
  // no command
  ...[
    '[]',
    '1',
    '"x"',
    'null',
    '{}',
    '{"":1}',
    '{"execute":5}',
    '{"execute":"stop","arguments":[]}',
    '{"foo":1}',
  ],
  ...[
    'true false',
    '"x" "y"',
    '12 13',
    '1"x"2',
    'truefalse',
    '{"execute":"query-status"}{"execute":"query-status"}',
  ],
  // numbers
  ...[
    '{"id":01,"execute":"stop"}',
    '{"id":1.,"execute":"stop"}',
    '{"id":-,"execute":"stop"}',
    '{"id":.5}',
    '{"id":+5}',
  ],
  ...['{"id":1e,"a":1}', '{"id":1e+]', '0e5', '{"id":[1e5,1.50,1E+2,-0,-7,0.25],"execute":"query-status"}'],
  ...['{"id":[18446744073709551615,-9223372036854775808],"execute":"query-status"}'],
  // strings
  ...[
    "{'execute':'query-status','id':'a\"b'}",
    '{"execute":"query-status","id":"a\\\'b"}',
    '{"id":"\\q"}',
    '{"id":"\\u12"}',
  ],
  ...[
    '{"id":"\\ud800"}',
    '{"id":"\\ud800\\u0041"}',
    '{"id":"\\ufdd0"}',
    '{"id":"\xef\xbf\xbe"}',
    '{"id":"\xc3"}',
  ],
  ...[
    '{"execute":"query-status","id":"\\ud83d\\ude00 \\u0000 \xc0\x80 \xc3\xa9 \x7f \\/\\b\\f\\n\\r\\t"}',
    '{"id":"\xed\xa0\x80"}',
  ],
  ...['{"id":"a\tb"}', '{"id":"a\nb"}', '{"id":"\x01"}', '{"execute":"query-\xffstatus"}'],
  // what belongs nowhere
  ...[
    '{"id":%d,"execute":"stop"}',
    'hello world',
    'HELLO {"execute":"query-status"}',
    '{"execute":True}',
    '# x',
    '#\t x ] y',
  ],
  ...[
    '\xff{"execute":"query-status"}',
    '{"a"\r\n:\t1 ,\n "a"  : 2}',
    `${'['.repeat(1024)}${']'.repeat(1024)}`,
  ],
  `${'['.repeat(1025)}${']'.repeat(3)}x${']'.repeat(1022)}`,
] as const;

/** A session that asks for what the greeting offers: what it may say then, and how that is refused. */
const OUT_OF_BAND = [
  ...['{"exec-oob":"query-status"}', '{"execute":"qmp_capabilities","arguments":{"enable":["x"]}}'],
  '{"execute":"qmp_capabilities","arguments":{"enable":"oob"}}',
  '{"execute":"qmp_capabilities","arguments":{"enabl":[]}}',
  '{"execute":"qmp_capabilities","arguments":{"enable":["oob","oob"]}}',
  ...['{"exec-oob":"query-status","id":1}', '{"exec-oob":"nonsense"}', '{"exec-oob":3,"id":[]}'],
  '{"exec-oob":"query-status","execute":"query-status","id":2}',
  '{"execute":"query-status","exec-oob":"query-status"}',
  ...['{"id":4}', '{"exec-oob":"query-status","arguments":3}', '{"execute":"query-status"}'],
] as const;

const IN_BAND = ['{"execute":"qmp_capabilities"}', ...TEXTS] as const;

const versions = binaries();

test('a QEMU is there to compare with', () => expect(versions.length).toBeGreaterThan(0));

describe.each(versions)('QEMU $version', ({ version, binary }) => {
  test('and the simulator read the same bytes alike', async () => {
    await using vm = await startGuestVm({ disks: 1, guest: 'idle', qemu: binary });
    const real = [...(await answersOf(vm.monitor, IN_BAND)), ...(await answersOf(vm.monitor, OUT_OF_BAND))];
    const folder = mkdtempSync(join(tmpdir(), 'blocksaga-json-'));
    const sim = await serveSim({ listen: join(folder, 'qmp'), profile: version, disks: 1 });
    try {
      const path = join(folder, 'qmp');
      const said = [...(await answersOf(path, IN_BAND)), ...(await answersOf(path, OUT_OF_BAND))];
      expect(said).toEqual(real);
    } finally {
      await sim.close();
      rmSync(folder, { recursive: true });
    }
  });
});

/** The replies to each text, without what a command gives. */
async function answersOf(
  path: string,
  texts: readonly string[],
): Promise<readonly (readonly [text: string, replies: readonly unknown[]])[]> {
  const socket = createConnection(path);
  let heard = '';
  socket.setEncoding('utf8').on('data', chunk => {
    heard += String(chunk);
  });
  await once(socket, 'connect');
  const answers: [string, unknown[]][] = [];
  for (const [at, text] of texts.entries()) {
    socket.write(Buffer.from(`${text}\n{"execute":"query-version","id":"mark ${at}"}\n`, 'latin1'));
    while (!heard.includes(`"mark ${at}"`) || !heard.endsWith('\n')) await once(socket, 'data');
    const lines = heard
      .trim()
      .split(/\r?\n/)
      .map(line => JSON.parse(line) as Record<string, unknown>);
    heard = '';
    const replies = lines.filter(line => !('event' in line || 'QMP' in line));
    answers.push([
      text,
      replies.map(reply => ('return' in reply ? { ...reply, return: 'something' } : reply)),
    ]);
  }
  socket.destroy();
  return answers;
}

function binaries(): readonly { readonly version: QemuVersion; readonly binary: string }[] {
  const installed = process.env['QEMU_BINARY'] ?? 'qemu-system-x86_64';
  const said = execFileSync(installed, ['--version'], { encoding: 'utf8' });
  const own = (['5.2', '7.2', '10.0', '11.1'] as const).find(version => said.includes(`version ${version}.`));
  const fetched = fetchedQemus().filter(({ version }) => version !== own);
  return [...(own === undefined ? [] : [{ version: own, binary: installed }]), ...fetched];
}
