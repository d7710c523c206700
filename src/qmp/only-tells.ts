/** Which commands only tell; all others are taken for such as change something. Asks nothing. */
import type { Command, CommandName } from './commands.ts';

export function onlyTells({ execute, ...given }: Pick<Command, 'execute'>): boolean {
  return execute.startsWith('query-') || ONLY_TELL.has(execute) || (execute === HUMAN && isInfo(given));
}

const HUMAN: CommandName = 'human-monitor-command';

/** All that the human monitor has under that word tells. */
function isInfo(given: { readonly arguments?: object }): boolean {
  const line = { 'command-line': '', ...given.arguments }['command-line'];
  return line.startsWith('info ');
}

const ONLY_TELL: ReadonlySet<string> = new Set([
  'qom-list',
  'qom-get',
  'qmp_capabilities',
  'x-debug-query-block-graph',
]);
