/**
 * Every operation on a disk as managers lay it out. What came of each is the table in docs/layouts.md: this test starts QEMU so,
 * and fails where the page says something else. UPDATE_LAYOUTS=1 writes it. After each operation that works, the image that is named
 * is opened by its header alone, and reads what was written.
 */
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { qemuBinary } from '../../src/demo/qemu-tools.ts';
import { BlocksagaError, createEngine, memoryJournal, type SagaResult } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { isFull } from '../tiers/tier.ts';
import { LAYOUTS, type Layout } from './layouts.ts';
import { bootShows, type OddGuest, oddGuest } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';
import { daemonBeside, expectServedSets, servedGuest } from './served-guest.ts';

const PAGE = fileURLToPath(new URL('../../docs/layouts.md', import.meta.url));
const OPERATIONS = ['snapshot', 'copy', 'clone', 'pull', 'commit', 'revert'] as const;
type Operation = (typeof OPERATIONS)[number];

/** The image that a boot is to read afterwards. */
interface Boot {
  readonly file: string;
  readonly format: string;
}

interface Tried {
  readonly result: SagaResult;
  readonly boot: Boot;
}

async function carryOut(
  operation: Operation,
  { vm, engine, ask }: Pick<OddGuest, 'engine' | 'ask'> & { readonly vm: Pick<OddGuest['vm'], 'monitor'> },
  folder: string,
  name = 'd0',
): Promise<Tried> {
  const guest = { qmp: vm.monitor, maxBlackoutMs: 30_000 };
  const made = (name: string): Boot => ({ file: join(folder, name), format: 'qcow2' });
  const [over, copy, again] = [made('over.qcow2'), made('copy.qcow2'), made('again.qcow2')];
  const disk = { disk: name };
  if (operation === 'copy' || operation === 'clone') {
    const finish = operation === 'copy' ? 'pivot' : 'clone';
    const disks = [{ ...disk, to: copy.file, format: 'qcow2' as const }];
    return { result: await (await engine.copy({ ...guest, finish, disks })).result, boot: copy };
  }
  const taken = await (await engine.snapshot({ ...guest, disks: [{ ...disk, overlay: over.file }] })).result;
  if (operation === 'snapshot' || taken.outcome !== 'committed') return { result: taken, boot: over };
  const before = taken.disks[0]?.before.file ?? '';
  if (operation === 'pull')
    return { result: await (await engine.pull({ ...guest, disks: [disk] })).result, boot: over };
  if (operation === 'commit') {
    const result = await (await engine.commit({ ...guest, active: true, disks: [disk] })).result;
    return { result, boot: { file: before, format: before.endsWith('.raw') ? 'raw' : 'qcow2' } };
  }
  await ask('stop');
  const result = await (await engine.revert({ ...guest, disks: [{ ...disk, overlay: again.file }] })).result;
  return { result, boot: again };
}

/** What came of it: `works`, or the code and the reason. */
async function tryOn(layout: Layout, operation: Operation): Promise<string> {
  const folder = temporaryFolder();
  const { more, qemu, path } = await layout.lay(folder);
  const guest = await oddGuest(async () => [], { more, qemu });
  const { vm, ask } = guest;
  const io = (command: string) =>
    ask<string>('human-monitor-command', {
      'command-line': `qemu-io -d /machine/peripheral/${path} "${command}"`,
    });
  expect(await io('write -P 0xa7 0 64k')).toBe('');
  await io('flush');
  try {
    const { result, boot } = await carryOut(operation, guest, folder);
    expect(result, JSON.stringify(result.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    await vm.kill();
    const file = { driver: 'file', filename: boot.file };
    expect(await bootShows({ driver: boot.format, file }, folder)).toBe(true);
    return 'works';
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    return `${error.code}: ${error.message.replaceAll(folder, '')}`;
  }
}

/** The same on a disk that a storage daemon exports. It takes no active commit, but one below the active image. */
async function tryOnDaemon(operation: Operation): Promise<string> {
  const on = await servedGuest({ disks: 1, by: 'nbd', backing: true });
  const { folder, images, monitor, vm } = on;
  const engine = createEngine({ journal: memoryJournal() });
  const disk = 'export0';
  await vm.awaitWrites(2);
  const before = vm.acknowledged();
  const guest = { vm: { monitor }, engine, ask: async <T>() => undefined as T };
  try {
    const { result, boot } = await carryOut(operation, guest, folder, disk);
    expect(result, JSON.stringify(result.error)).toMatchObject({ outcome: 'committed', leftovers: [] });
    await expectServedSets(on, [boot.file], null, before);
    return 'works';
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    const why = error.message.replaceAll(folder, '').replace(/bs-[a-z0-9]+-0/, 'NODE');
    if (operation !== 'commit') return `${error.code}: ${why}`;
    const [{ file: top = '', base = '' } = {}] = images;
    const { result } = await engine.commit({ qmp: monitor, disks: [{ disk, top, base }] });
    expect(await result).toMatchObject({ outcome: 'committed', leftovers: [] });
    await expectServedSets(on, [join(folder, 'over.qcow2')], null, before);
    return 'works below the active image';
  }
}

/** The table, with the reasons below it. */
function pageOf(cells: readonly (readonly string[])[]): string {
  const isRefused = (cell: string) => !cell.startsWith('works');
  const reasons = [...new Set(cells.flat().filter(isRefused))];
  const shown = (cell: string) => (isRefused(cell) ? `refused (${reasons.indexOf(cell) + 1})` : cell);
  const rows = [...LAYOUTS, { name: DAEMON }].map(
    ({ name }, at) => `| ${name} | ${(cells[at] ?? []).map(shown).join(' | ')} |`,
  );
  return [
    `| layout | ${OPERATIONS.join(' | ')} |`,
    `| --- | ${OPERATIONS.map(() => '---').join(' | ')} |`,
    ...rows,
    '',
    ...reasons.map((reason, at) => `${at + 1}. ${reason}`),
    '',
  ].join('\n');
}

/** Of what works the quick tier tries some in turn: of each layout one, of each operation some; all that is refused, and all anew for the page. */
function isTried(layout: number, operation: number): boolean {
  return isFull || process.env['UPDATE_LAYOUTS'] === '1' || (layout + operation) % EVERY === 0;
}

const EVERY = 6;

/** What the page says of it. */
function cellOf(page: string, layout: number, operation: number): string {
  const [, , ...rows] = page
    .slice(page.indexOf(BEGIN))
    .split('\n')
    .filter(line => line.startsWith('| '));
  return rows[layout]?.split(' | ')[operation + 1]?.replace(/ \|$/, '') ?? '';
}

const DAEMON = 'An export of a `qemu-storage-daemon`, by NBD';
const BEGIN = '<!-- made by test/qemu/layouts.test.ts -->\n';

describeOnQemu('the layouts of managers', () => {
  test('take each operation, or refuse it with the reason that the page gives', {
    timeout: 300_000,
  }, async ({ skip }) => {
    const { stdout } = spawnSync(qemuBinary(), ['--version'], { encoding: 'utf8' });
    skip(!/version 7\.2/.test(stdout), 'the page is of QEMU 7.2');
    if (daemonBeside() === undefined) expect.unreachable('there is no qemu-storage-daemon beside this QEMU');
    const page = await readFile(PAGE, 'utf8');
    const rows = [...LAYOUTS.map(layout => (operation: Operation) => tryOn(layout, operation)), tryOnDaemon];
    const cells: string[][] = [];
    for (const [at, tryOne] of rows.entries()) {
      const row: string[] = [];
      for (const [nth, operation] of OPERATIONS.entries()) {
        const said = cellOf(page, at, nth);
        row.push(said === 'works' && !isTried(at, nth) ? said : await tryOne(operation));
      }
      cells.push(row);
    }
    const head = page.slice(0, page.indexOf(BEGIN) + BEGIN.length);
    if (process.env['UPDATE_LAYOUTS'] === '1') await writeFile(PAGE, `${head}\n${pageOf(cells)}`);
    expect(await readFile(PAGE, 'utf8')).toBe(`${head}\n${pageOf(cells)}`);
  });
});
