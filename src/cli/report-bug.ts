/** Shows a broken assumption of ours with its stack. It ends nothing. */
import type { CliContext } from './context.ts';

export function reportBug(error: unknown, context: Pick<CliContext, 'complain'>): void {
  context.complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
  context.complain(
    'This is a bug of blocksaga. No guest is left paused for it; "blocksaga sagas" lists what is open, and "blocksaga resume" goes on.',
  );
}
