/** The schemas of requests as others use them: Standard Schema to validate, JSON Schema to describe. */
import { describe, expect, test } from 'vitest';
import { BlocksagaError } from '../../src/errors.ts';
import { createEngine, memoryJournal, requestSchemas } from '../../src/index.ts';
import { createSim } from '../../src/sim/index.ts';

const disk = { disk: 'd', to: '/a' };

describe('a request that makes no sense', () => {
  test('names every field that is wrong, by its path', async () => {
    const engine = createEngine({ journal: memoryJournal() });
    const request = { disks: [disk, { disk: '', to: 'relative' }], parallel: 0, unknown: 1 };
    const error = await engine.copy({ qmp: '/none', ...request }).catch((thrown: unknown) => thrown);
    if (!(error instanceof BlocksagaError)) throw error;
    expect(error.code).toBe('REQUEST_INVALID');
    const paths = error.issues?.map(({ path }) => path.join('.'));
    expect(paths?.toSorted()).toEqual(['', 'disks.1.disk', 'disks.1.to', 'parallel']);
    expect(error.toJSON().issues).toEqual(error.issues);
    expect(requestSchemas.copy['~standard'].validate(request).issues).toEqual(error.issues);
  });

  test('is also one whose fields contradict each other', () => {
    const { validate } = requestSchemas.copy['~standard'];
    const { issues } = validate({ disks: [{ ...disk, raw: true, format: 'qcow2' }] });
    expect(issues).toEqual([{ path: [], message: expect.stringMatching(/contradict/) }]);
  });
});

test('a request that makes sense is given back', () => {
  const request = { id: 't1', disks: [disk], finish: 'leave', metadata: { task: '1' } };
  expect(requestSchemas.copy['~standard'].validate(request)).toEqual({ value: request });
});

test('fields that are undefined are as good as left out, in the journal and for the same id', async () => {
  const sim = createSim({ disks: 1 });
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const request = {
    id: 't2',
    qmp: sim.connect,
    files: sim.files,
    disks: [{ disk: 'disk0', overlay: '/images/o.qcow2' }],
  };
  const said = { ...request, quiesce: undefined, maxBlackoutMs: undefined, vm: undefined };
  const first = await sim.run(engine.snapshot(said));
  expect((await sim.run(first.result)).outcome).toBe('committed');
  const again = await sim.run(engine.snapshot(request));
  expect((await sim.run(again.result)).saga).toBe('t2');
});

test.each(Object.entries(requestSchemas))(
  'the JSON Schema of %s has its fields, and takes no others',
  (operation, schema) => {
    const told = schema.jsonSchema();
    expect(told).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      required: ['disks'],
      additionalProperties: false,
      properties: {
        id: { type: 'string', maxLength: 200 },
        // Without a QEMU no guest is paused.
        ...(operation === 'commitOffline'
          ? {}
          : { maxBlackoutMs: { type: 'integer', minimum: 1, maximum: 60_000 } }),
        disks: { type: 'array', minItems: 1, maxItems: 64 },
      },
    });
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
  },
);
