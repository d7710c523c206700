/**
 * The schemas of versions that no table was taken from: the nearest table without what came later (the `Since:` tags of
 * QEMU's qapi/*.json).
 */

import { SCHEMAS, type SchemaTable } from './schema.generated.ts';

/** Backups there were before, with another filter or none: they are simulated from 5.2 on. */
const ADDED_AFTER_3_1 = [
  'blockdev-backup',
  'block-export-add',
  'block-export-del',
  'query-block-exports',
  'x-debug-query-block-graph',
  'block-dirty-bitmap-merge',
];

const ADDED_AFTER_2_12 = [
  ...ADDED_AFTER_3_1,
  'blockdev-create',
  'job-cancel',
  'job-pause',
  'job-resume',
  'job-complete',
  'job-finalize',
  'job-dismiss',
  'query-jobs',
  'block-dirty-bitmap-enable',
  'block-dirty-bitmap-disable',
];

const ADDED_AFTER_2_4 = [
  ...ADDED_AFTER_2_12,
  'blockdev-add',
  'blockdev-del',
  'blockdev-mirror',
  'blockdev-snapshot',
  'block-job-finalize',
  'block-job-dismiss',
  'query-qmp-schema',
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
/** Arguments that jobs did not have before 3.1, and 3.0. */
const ENDING_MEMBERS = /^(auto-finalize|auto-dismiss|copy-mode|base-node|top-node)\?/;
/** Nor before 2.9 and 2.7. */
const LATE_MEMBERS = /^(job-id|auto-finalize|auto-dismiss|copy-mode|filter-node-name|base-node|top-node)\?/;
/** Nor before 2.4 (`unmap`), 2.1 (`backing-file` and those of nodes) and 1.4. */
const NODE_MEMBERS = /^(node-name|snapshot-node-name|replaces|unmap|backing-file|granularity|buf-size)\?/;
/** Nor before 1.3. */
const FORCE_MEMBERS = /^(force|on-error)\?/;

/** The schema of a version, taken or derived. */
export function schemaOf(version: string): SchemaTable {
  switch (version) {
    case '6.1':
      return table('7.2');
    case '3.1':
      return cut(table('5.2'), ADDED_AFTER_3_1, [FLAT_MEMBER]);
    case '2.12':
      return cut(table('5.2'), ADDED_AFTER_2_12, [FLAT_MEMBER, ENDING_MEMBERS]);
    case '2.4':
      return cut(table('5.2'), ADDED_AFTER_2_4, [FLAT_MEMBER, LATE_MEMBERS]);
    case '1.3':
      return cut(table('5.2'), ADDED_AFTER_1_3, [LATE_MEMBERS, NODE_MEMBERS]);
    case '1.1':
      return cut(table('5.2'), ADDED_AFTER_1_1, [LATE_MEMBERS, NODE_MEMBERS, FORCE_MEMBERS]);
    case '1.0':
      return cut(table('5.2'), ADDED_AFTER_1_0, [LATE_MEMBERS, NODE_MEMBERS, FORCE_MEMBERS]);
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
  return { ...from, commands: shorten(from.commands), actions: shorten(from.actions) };
}

function withoutMembers(spec: string, members: readonly RegExp[]): string {
  return spec
    .split(' ')
    .filter(word => !members.some(pattern => pattern.test(word)))
    .join(' ');
}
