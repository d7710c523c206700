/**
 * The result of a saga that has come to its end, read once more where a disk left the guest behind its last step: what the
 * saga has of that disk in QEMU is closed first. It decides nothing.
 */
import type { Stages } from '../durable/stages.ts';
import { lacksDisk, type SagaResult } from './result.ts';

export async function readAtEnd(
  read: () => Promise<SagaResult>,
  stages: Pick<Stages, 'endUnplugged'>,
): Promise<SagaResult> {
  const result = await read();
  if (!lacksDisk(result)) return result;
  // Also where that has failed half-way: what was closed until then is not left.
  await stages.endUnplugged(result.outcome === 'rolledBack');
  return read();
}
