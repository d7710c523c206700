/**
 * The schemas of versions that no table was taken from: the nearest table without what came later (the `Since:` tags of
 * QEMU's qapi/*.json).
 */

import { SCHEMAS, type SchemaTable } from './schema.generated.ts';

const ADDED_AFTER_3_1 = [
  'block-export-add',
  'block-export-del',
  'query-block-exports',
  'x-debug-query-block-graph',
];

const ADDED_AFTER_2_4 = [
  ...ADDED_AFTER_3_1,
  'blockdev-add',
  'blockdev-del',
  'blockdev-create',
  'blockdev-mirror',
  'blockdev-snapshot',
  'job-cancel',
  'job-pause',
  'job-resume',
  'job-complete',
  'job-finalize',
  'job-dismiss',
  'block-job-finalize',
  'block-job-dismiss',
  'query-jobs',
  'query-qmp-schema',
  'block-dirty-bitmap-enable',
  'block-dirty-bitmap-disable',
];

const ADDED_AFTER_1_3 = [
  ...ADDED_AFTER_2_4,
  'query-named-block-nodes',
  'change-backing-file',
  'block-dirty-bitmap-add',
  'block-dirty-bitmap-remove',
  'block-dirty-bitmap-clear',
  'object-add',
  'object-del',
];

const ADDED_AFTER_1_1 = [
  ...ADDED_AFTER_1_3,
  'drive-mirror',
  'block-commit',
  'block-job-pause',
  'block-job-resume',
  'block-job-complete',
  'qom-list',
  'qom-get',
  'qom-set',
  'qom-list-types',
  'nbd-server-start',
  'nbd-server-stop',
];

const ADDED_AFTER_1_0 = [
  ...ADDED_AFTER_1_1,
  'transaction',
  'block-stream',
  'block-job-set-speed',
  'block-job-cancel',
  'query-block-jobs',
];

/** Of `query-named-block-nodes`, since 5.0. */
const FLAT_MEMBER = /^flat\?/;
/** Arguments that jobs did not have before 3.1 (`auto-*`), 2.9 and 2.7. */
const LATE_MEMBERS = /^(job-id|auto-finalize|auto-dismiss|copy-mode|filter-node-name|base-node|top-node)\?/;
const NODE_MEMBERS = /^(node-name|snapshot-node-name|replaces)\?/;

/** The schema of a version, taken or derived. */
export function schemaOf(version: string): SchemaTable {
  switch (version) {
    case '6.1':
      return table('7.2');
    case '3.1':
      return cut(table('5.2'), ADDED_AFTER_3_1, [FLAT_MEMBER]);
    case '2.4':
      return cut(table('5.2'), ADDED_AFTER_2_4, [FLAT_MEMBER, LATE_MEMBERS]);
    case '1.3':
      return cut(table('5.2'), ADDED_AFTER_1_3, [LATE_MEMBERS, NODE_MEMBERS]);
    case '1.1':
      return cut(table('5.2'), ADDED_AFTER_1_1, [LATE_MEMBERS, NODE_MEMBERS]);
    case '1.0':
      return cut(table('5.2'), ADDED_AFTER_1_0, [LATE_MEMBERS, NODE_MEMBERS]);
    default:
      return table(version);
  }
}

function table(version: string): SchemaTable {
  const known = SCHEMAS[version];
  if (known === undefined) throw new Error(`no schema of QEMU ${version}`);
  return known;
}

function cut(from: SchemaTable, commands: readonly string[], members: readonly RegExp[]): SchemaTable {
  const gone = new Set(commands);
  const shorten = (specs: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(specs)
        .filter(([name]) => !gone.has(name))
        .map(([name, spec]) => [name, withoutMembers(spec, members)]),
    );
  return { commands: shorten(from.commands), actions: shorten(from.actions), enums: from.enums };
}

function withoutMembers(spec: string, members: readonly RegExp[]): string {
  return spec
    .split(' ')
    .filter(word => !members.some(pattern => pattern.test(word)))
    .join(' ');
}
