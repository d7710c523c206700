/**
 * blocksaga in a program: copies the disks of a running guest and switches all of them over, or none.
 *
 *     node examples/embed.ts JOURNAL MONITOR DISK=FILE [DISK=FILE ...]
 *
 * In a project of yours the import reads `from 'blocksaga'`.
 */
import { createEngine, openJournal } from '../src/index.ts';

const [file = 'journal.db', qmp = '/run/vm.qmp', ...pairs] = process.argv.slice(2);
const disks = pairs.map(pair => pair.split('=')).map(([disk = '', to = '']) => ({ disk, to }));

const journal = openJournal(file);
const engine = createEngine({ journal });
const saga = await engine.copy({ qmp, disks });
saga.subscribe(notice => console.log(JSON.stringify(notice)));
const { outcome, blackoutMs, error } = await saga.result;
console.log(outcome, blackoutMs, error?.message ?? '');
await journal.close();
process.exitCode = outcome === 'committed' ? 0 : 1;
