/** Requests as an author meets them: over each field in an editor, on one page, and in the schemas; all of them say the same. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { generated } from '../../scripts/generate-requests.ts';
import type {
  CommitRequest,
  CopyRequest,
  OfflineCommitRequest,
  PullRequest,
  RevertRequest,
  SnapshotRequest,
} from '../../src/index.ts';
import { requestSchemas } from '../../src/index.ts';
import { offlineCommitShape } from '../../src/operations/commit-offline-request.ts';
import { requestShapes } from '../../src/operations/request-shapes.ts';
import { LanguageServer } from './hover.ts';

test.each([...generated()])('%s is as the schemas say it: else run "npm run requests"', (file, text) => {
  expect(readFileSync(file, 'utf8')).toBe(text);
});

/** Compiles only where each can stand for the other. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
type Inferred<Operation extends keyof typeof requestShapes> = z.infer<(typeof requestShapes)[Operation]>;

test('the types that are written out are those of the schemas', () => {
  const same: [
    Same<SnapshotRequest, Inferred<'snapshot'>>,
    Same<CopyRequest, Inferred<'copy'>>,
    Same<CommitRequest, Inferred<'commit'>>,
    Same<PullRequest, Inferred<'pull'>>,
    Same<RevertRequest, Inferred<'revert'>>,
    Same<OfflineCommitRequest, z.infer<typeof offlineCommitShape>>,
  ] = [true, true, true, true, true, true];
  expect(same).toHaveLength(Object.keys(requestShapes).length + 1);
});

interface Told {
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly 'x-unit'?: string;
  readonly 'x-without'?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Told>>;
  readonly required?: readonly string[];
  readonly items?: Told;
}

/** All fields of a schema with their paths, those of disks too. */
function fieldsOf(
  told: Told,
  before = '',
): readonly (readonly [path: string, field: Told, required: boolean])[] {
  return Object.entries(told.properties ?? {}).flatMap(([name, field]) => [
    [`${before}${name}`, field, told.required?.includes(name) === true] as const,
    ...fieldsOf(field, `${before}${name}.`),
    ...fieldsOf(field.items ?? {}, `${before}${name}[].`),
  ]);
}

const shapes: Readonly<Record<keyof typeof requestSchemas, z.ZodObject>> = {
  ...requestShapes,
  commitOffline: offlineCommitShape,
};

describe.each(Object.entries(requestSchemas))('the schema of %s', (operation, schema) => {
  const told = schema.jsonSchema() as Told;

  test('says of every field what it is, an example, and what holds without it', () => {
    const fields = fieldsOf(told);
    expect(fields.length).toBeGreaterThan(8);
    const lacking = fields.flatMap(([path, field, isRequired]) => {
      const isWhole = field.description?.endsWith('.') && field.examples?.length === 1;
      const isLeftSaid = isRequired !== ('default' in field || 'x-without' in field);
      const hasUnit = field.type !== 'integer' || field['x-unit'] !== undefined;
      return isWhole && isLeftSaid && hasUnit ? [] : [path];
    });
    expect(lacking).toEqual([]);
  });

  test('takes each of its own examples and defaults', () => {
    const shape = shapes[operation as keyof typeof shapes];
    for (const [name, field] of Object.entries(shape.shape)) {
      const { examples = [], ...more } = (told.properties?.[name] ?? {}) as Told;
      const values = [...examples, ...('default' in more ? [more.default] : [])];
      expect(values.length, name).toBeGreaterThan(0);
      for (const value of values) expect((field as z.ZodType).safeParse(value).success, name).toBe(true);
    }
  });
});

test('an editor shows over a field what it is, its unit, what holds without it, and an example', async () => {
  await using server = await LanguageServer.start();
  const text = `import { createEngine, memoryJournal, type CopyRequest } from '../../src/index.ts';
const engine = createEngine({ journal: memoryJournal() });
await engine.copy({ qmp: '/run/vm.qmp', maxBlackoutMs: 500, disks: [{ disk: 'disk0', to: '/new/0.qcow2' }] });
const request: CopyRequest = { bandwidth: 1, disks: [] };
`;
  const hover = (after: string, name: string) => server.hover('test/docs/hovered.ts', text, after, name);
  const pause = await hover('engine.copy', 'maxBlackoutMs');
  expect(pause).toMatch(/How long the guest may be paused. In milliseconds.*default.*1000.*example.*500/);
  expect(await hover('engine.copy', 'to:')).toMatch(
    /new image's file, a block device.*example.*\/new\/disk0.qcow2/,
  );
  expect(await hover('engine.copy', 'qmp:')).toMatch(/monitor's address/);
  expect(await hover('request', 'bandwidth')).toMatch(
    /In bytes per second and disk.*default.*0.*example.*104857600/,
  );
});
