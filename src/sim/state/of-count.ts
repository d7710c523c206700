/**
 * Which commands only tell QEMU how much of a saga is in its journal, or ask for that. They take no time here, and no place of a
 * fault is counted by them: a run is the same whether QEMU is told or not, and runs that were kept stay what they were.
 */
import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from './arguments.ts';

const COUNT = /^(\/objects\/)?bs-[0-9a-z]{8}-count$/;

export function isOfCount({ path, id }: Arguments): boolean {
  return isCount(path) || isCount(id);
}

function isCount(name: Json | undefined): boolean {
  return typeof name === 'string' && COUNT.test(name);
}
