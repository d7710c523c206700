/** Any JSON in place of any part of a saga's row or of any record: a resume is refused with a typed error, or goes on as ever. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlocksagaError, createEngine, type Journal, memoryJournal, recoverOffline } from '../src/index.ts';
import type { Json } from '../src/qmp/transport.ts';
import { createSim, type Sim } from '../src/sim/index.ts';
import { often } from '../test/tiers/tier.ts';

const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
  fc.constantFrom<Json>(
    null,
    [],
    {},
    0,
    '',
    [null],
    { observed: 1 },
    { error: {} },
    { value: [{}], abort: 1 },
  ),
);

/** One place somewhere inside, by the turns that lead there, gets another value. */
function replaced(value: Json, turns: readonly number[], by: Json): Json {
  const [turn, ...rest] = turns;
  if (turn === undefined || typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[turn % (keys.length + 1)];
  if (key === undefined) return by;
  const inner = replaced((value as { readonly [key: string]: Json })[key] ?? null, rest, by);
  if (Array.isArray(value)) return value.map((each, at) => (String(at) === key ? inner : each));
  return { ...value, [key]: inner };
}

function damaged(
  inner: Journal,
  where: 'plan' | 'record',
  at: number,
  turns: readonly number[],
  by: Json,
): Journal {
  // The same record at each look, however many have come: what is damaged is so from the beginning.
  let seq: number | undefined;
  return {
    begin: saga => inner.begin(saga),
    takeOver: (id, options) => inner.takeOver(id, options),
    confirm: lease => inner.confirm(lease),
    append: (lease, records, options) => inner.append(lease, records, options),
    appendSync: (lease, records) => inner.appendSync(lease, records),
    end: (lease, state, result) => inner.end(lease, state, result),
    ask: (id, signal, value) => inner.ask(id, signal, value),
    listen: (id, afterSeq, heard) => inner.listen(id, afterSeq, heard),
    sagas: filter => inner.sagas(filter),
    saga: id => {
      const row = inner.saga(id);
      return row === undefined || where === 'record' ? row : { ...row, plan: replaced(row.plan, turns, by) };
    },
    records: id => {
      const records = inner.records(id);
      if (where === 'plan' || records.length === 0) return records;
      seq ??= records[at % records.length]?.seq;
      return records.map(record =>
        record.seq === seq ? { ...record, body: replaced(record.body, turns, by) } : record,
      );
    },
    close: () => inner.close(),
  };
}

/** A copy whose process dies when QEMU has got so many commands. */
async function dead(sim: Sim, commands: number): Promise<Journal> {
  const journal = memoryJournal();
  let sent = 0;
  const engine = createEngine({ journal, clock: sim.clock });
  const disks = sim.world.fronts().map(({ node }, at) => ({ disk: node, to: `/images/new${at}.qcow2` }));
  const saga = await sim.run(
    engine
      .copy({
        id: 's',
        qmp: async handlers => {
          if (sent > commands) throw new BlocksagaError('QMP_CONNECT', 'gone', { retryable: false });
          const transport = await sim.connect(handlers);
          return {
            send(messages) {
              sent += messages.length;
              if (sent > commands) transport.close();
              else transport.send(messages);
            },
            close: () => transport.close(),
          };
        },
        files: sim.files,
        disks,
      })
      .catch((error: unknown) => {
        if (error instanceof BlocksagaError) return undefined;
        throw error;
      }),
  );
  if (saga !== undefined) await sim.run(saga.result);
  return journal;
}

test('what is read from a damaged row is a typed error, or does no harm', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(90),
      fc.constantFrom('plan' as const, 'record' as const),
      fc.nat(60),
      fc.array(fc.nat(30), { maxLength: 4 }),
      anything,
      fc.boolean(),
      async (commands, where, at, turns, by, isOffline) => {
        const sim = createSim({ profile: '7.2', disks: 2, seed: 1 });
        const journal = damaged(await dead(sim, commands), where, at, turns, by);
        const engine = createEngine({ journal, clock: sim.clock });
        const caught = (reason: unknown) => reason;
        const error = isOffline
          ? await recoverOffline(journal, 's', { files: sim.files, qmp: '/nowhere' }).then(
              () => undefined,
              caught,
            )
          : await sim.run(
              engine
                .resume('s', { qmp: sim.connect, files: sim.files })
                .then(saga => saga.result)
                .then(() => undefined, caught),
            );
        if (error !== undefined) expect(error).toBeInstanceOf(BlocksagaError);
      },
    ),
    { numRuns: Number(process.env['HOSTILE_RUNS'] ?? often(80, 200)) },
  );
});
