/**
 * Kills a fleet, round after round, and prints what became of it as a table.
 *
 *     npm run kills -- --rounds 200 --seed 1
 *     npm run kills -- --rounds 40 --seed 1 --qemu qemu-system-x86_64
 *     npm run kills -- --rounds 1 --from 17 --seed 1        # the eighteenth of them alone
 *
 * SIGTERM ends it behind the round under way, with the table of those that were played. Exit status: 0 where every promise was kept in
 * every round, else 1.
 */
import { parseArgs } from 'node:util';
import { KINDS } from './acts.ts';
import { playRounds } from './rounds.ts';
import { table } from './table.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '18' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '3' },
    qemu: { type: 'string' },
    kind: { type: 'string' },
  },
});

const say = (line: string) => void process.stdout.write(`${line}\n`);
if (values.kind !== undefined && !KINDS.some(({ name }) => name === values.kind))
  throw new Error(`--kind is one of: ${KINDS.map(({ name }) => name).join('; ')}`);
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const rounds = await playRounds({
  signal: stopping.signal,
  rounds: Number(values.rounds),
  from: Number(values.from),
  seed: Number(values.seed),
  nodes: values.nodes === '1' ? 1 : 3,
  ...(values.qemu === undefined ? {} : { qemu: values.qemu }),
  ...(values.kind === undefined ? {} : { kind: values.kind }),
  say,
});
say('');
for (const line of table(rounds)) say(line);
const broken = rounds.filter(({ wrong }) => wrong.length > 0);
for (const { id, seed, wrong } of broken) say(`BROKEN in ${id} (seed ${seed}): ${wrong.join('; ')}`);
process.exitCode = broken.length === 0 ? 0 : 1;
