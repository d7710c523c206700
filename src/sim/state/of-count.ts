/**
 * Which commands only tell QEMU how much of a saga is in its journal, or ask for that, or what its guest has written and had written by
 * the saga's mark. They take no time here, and no place of a fault is counted by them: a run is the same whether QEMU is told or not, and
 * runs that were kept stay what they were.
 */
import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from './arguments.ts';

const COUNT = /^(\/objects\/)?bs-[0-9a-z]{8}-count$/;

export function isOfCount(command: string, { path, id, 'command-line': line }: Arguments): boolean {
  if (command === 'human-monitor-command' && line === 'info blockstats') return true;
  return isCount(path) || isCount(id) || (command === 'qom-get' && isMark(path));
}

const MARK = /^\/objects\/bs-[0-9a-z]{8}-/;

function isMark(path: Json | undefined): boolean {
  return typeof path === 'string' && MARK.test(path);
}

function isCount(name: Json | undefined): boolean {
  return typeof name === 'string' && COUNT.test(name);
}
