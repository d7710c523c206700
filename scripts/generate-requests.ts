/**
 * Writes src/operations/request-types.generated.ts, the types of requests whose fields an editor explains, and docs/requests.md,
 * their reference, from the schemas. Run: `npm run requests`. A test sees to it that both are as this makes them.
 */
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { invariant } from '../src/errors.ts';
import { offlineCommitShape } from '../src/operations/commit-offline-request.ts';
import { requestShapes } from '../src/operations/request-shapes.ts';

/** As `z.toJSONSchema` gives it, as far as requests use it. */
interface Shape {
  readonly type?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly 'x-unit'?: string;
  readonly 'x-without'?: string;
  readonly enum?: readonly string[];
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Shape | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
}

const REQUESTS = { ...requestShapes, offlineCommit: offlineCommitShape };

/** By the name of the operation: the name of its type, how it is called, and what it is. */
const ABOUT: Readonly<Record<keyof typeof REQUESTS, readonly [type: string, call: string, what: string]>> = {
  snapshot: ['SnapshotRequest', 'engine.snapshot', 'New overlays on N disks, in one instant.'],
  copy: ['CopyRequest', 'engine.copy', 'N disks are mirrored to new images, and all switched in one pause.'],
  commit: ['CommitRequest', 'engine.commit', 'Images of N disks are merged into ones below them.'],
  pull: ['PullRequest', 'engine.pull', 'What is below N active images is streamed into them.'],
  revert: [
    'RevertRequest',
    'engine.revert',
    'N disks of a paused guest go back to images below their active ones.',
  ],
  offlineCommit: [
    'OfflineCommitRequest',
    'commitOffline',
    'A commit of images of N disks that no QEMU has open.',
  ],
};

/** Both files, by path from the project's root. */
export function generated(): ReadonlyMap<string, string> {
  const shapes = Object.entries(REQUESTS).map(([operation, schema]) => {
    const about = ABOUT[operation as keyof typeof REQUESTS];
    return { about, shape: z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape };
  });
  return new Map([
    ['src/operations/request-types.generated.ts', typesOf(shapes)],
    ['docs/requests.md', pageOf(shapes)],
  ]);
}

interface Request {
  readonly about: (typeof ABOUT)[keyof typeof ABOUT];
  readonly shape: Shape;
}

function typesOf(requests: readonly Request[]): string {
  const head = `/**
 * What may be asked for, field by field. Made by scripts/generate-requests.ts from the schemas (requests.ts): change those, and
 * run \`npm run requests\`.
 */
`;
  return requests.reduce((text, { about: [name, call, what], shape }) => {
    const disk = `${name.replace('Request', '')}Disk`;
    const { items } = shape.properties?.['disks'] ?? {};
    invariant(items !== undefined, `${name} has disks`);
    return `${text}
/** One disk of a \`${name}\`. */
export interface ${disk} ${objectOf(items, '')}

/** ${what} The request of \`${call}\`; docs/requests.md has all fields on one page. */
export interface ${name} ${objectOf(shape, '', disk)}
`;
  }, head);
}

function objectOf(shape: Shape, indent: string, disk?: string): string {
  const inner = `${indent}  `;
  const fields = Object.entries(shape.properties ?? {}).map(([name, field]) => {
    const isRequired = shape.required?.includes(name) === true;
    const type = name === 'disks' && disk !== undefined ? `readonly ${disk}[]` : typeOf(field, inner);
    // What a caller has not made up its mind about may be undefined at the top, as zod's \`optional\` takes it.
    const isExact = indent !== '';
    const member = `readonly ${name}${isRequired ? '' : '?'}: ${type}${isRequired || isExact ? '' : ' | undefined'};`;
    return `${hoverOf(field, inner)}${inner}${member}`;
  });
  return `{\n${fields.join('\n')}\n${indent}}`;
}

function typeOf(shape: Shape, indent: string): string {
  if (shape.enum !== undefined) return shape.enum.map(each => `'${each}'`).join(' | ');
  if (shape.type === 'array') return `readonly ${typeOf(shape.items ?? {}, indent)}[]`;
  if (shape.properties !== undefined) return objectOf(shape, indent);
  if (shape.type === 'object') return 'Readonly<Record<string, string>>';
  if (shape.type === 'integer') return 'number';
  invariant(
    shape.type === 'string' || shape.type === 'boolean',
    `the generator knows ${JSON.stringify(shape)}`,
  );
  return shape.type;
}

function hoverOf(shape: Shape, indent: string): string {
  const { description, examples = [] } = shape;
  invariant(description !== undefined, `every field says what it is: ${JSON.stringify(shape)}`);
  const left = leftOut(shape);
  const lines = [
    unitSaid(shape),
    ...(left === null ? [] : [`@default ${left}`]),
    ...examples.map(example => `@example ${JSON.stringify(example)}`),
  ];
  return `${indent}/**\n${lines.map(line => `${indent} * ${line}\n`).join('')}${indent} */\n`;
}

function unitSaid({ description = '', 'x-unit': unit }: Shape): string {
  return unit === undefined ? description : `${description} In ${unit}.`;
}

function leftOut(shape: Shape): string | null {
  if (shape.default !== undefined) return JSON.stringify(shape.default);
  return shape['x-without'] ?? null;
}

function pageOf(requests: readonly Request[]): string {
  const parts = requests.map(
    ({ about: [name, call, what], shape }) => `## ${name}

${what} Asked for with \`${call}(request)\`.

${tableOf(rowsOf(shape, ''))}`,
  );
  return `# Requests

Every field of every request, made from the schemas that check them (\`npm run requests\` makes this page). An editor shows
the same over each field. \`requestSchemas\` has the schemas as [Standard Schema](https://standardschema.dev) and as JSON Schema
([how](embedding.md#errors)): \`description\`, \`examples\` and \`default\` are in it, and \`x-unit\` and \`x-without\`, what holds
where a field is left out. A field that no request has is refused, with all others that are wrong (\`REQUEST_INVALID\`, \`issues\`).

Beside its request, each call is told where the guest is: \`qmp\` (the monitor's address, or a \`Connect\`), and as needed \`files\`,
\`agent\` and \`signal\` ([embedding.md](embedding.md#start)). They are no part of the request, and are not kept with it.

${parts.join('\n\n')}
`;
}

interface Row {
  readonly name: string;
  readonly isRequired: boolean;
  readonly field: Shape;
}

function rowsOf(shape: Shape, before: string): readonly Row[] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, field]) => [
    { name: `${before}${name}`, isRequired: shape.required?.includes(name) === true, field },
    ...rowsOf(field, `${before}${name}.`),
    ...(field.items === undefined ? [] : rowsOf(field.items, `${before}${name}[].`)),
  ]);
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ name, isRequired, field }) => {
    const left = field.default === undefined ? (field['x-without'] ?? '') : code(field.default);
    const example = field.examples?.map(code).join(', ') ?? '';
    return `| \`${name}\` | ${typeInWords(field)} | ${field.description} | ${field['x-unit'] ?? ''} | ${isRequired ? 'required' : left} | ${example} |`;
  });
  return [
    '| field | type | what | unit | left out | example |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function typeInWords(shape: Shape): string {
  const { type, minimum, maximum, maxItems } = shape;
  if (shape.enum !== undefined) return shape.enum.map(code).join(', ');
  if (type === 'array') return `list${maxItems === undefined ? '' : `, at most ${maxItems}`}`;
  if (type === 'object') return shape.properties === undefined ? 'texts by name' : 'object';
  if (type !== 'integer') return type ?? '';
  const isBounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return `integer, ${isBounded ? `${minimum} to ${maximum}` : `${minimum} or more`}`;
}

function code(value: unknown): string {
  return `\`${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('|', '\\|')}\``;
}

if (import.meta.main) for (const [file, text] of generated()) writeFileSync(file, text);
