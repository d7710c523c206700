/** Which commands only tell; all others are taken for such as change something. Asks nothing. */
import type { Command } from './commands.ts';

export function onlyTells({ execute }: Pick<Command, 'execute'>): boolean {
  return execute.startsWith('query-') || ONLY_TELL.has(execute);
}

const ONLY_TELL: ReadonlySet<string> = new Set([
  'qom-list',
  'qom-get',
  'qmp_capabilities',
  'x-debug-query-block-graph',
]);
