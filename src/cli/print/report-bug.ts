/** Shows a broken assumption of ours with its stack. It ends nothing. */
import type { CliContext } from './context.ts';

export function reportBug(error: unknown, context: Pick<CliContext, 'complain'>): void {
  for (const line of inLines(error)) context.complain(line);
  context.complain(
    'This is a bug of blocksaga. No guest is left paused for it; "blocksaga sagas" lists what is open, and "blocksaga resume" continues it.',
  );
}

/** The message may have lines of its own, and is one here. */
function inLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [String(error)];
  const frames = (error.stack ?? '').split('\n').filter(line => /^\s+at /.test(line));
  return [`${error.name}: ${error.message}`, ...frames];
}
