/**
 * What the steps of one saga note of merges during which a base was not found under its name: in memory, and in the journal before it
 * is acted on. It looks at no file.
 */
import type { StepContext } from '../../steps/step/step.ts';
import type { HostParts } from './host-parts.ts';
import { mergedElsewhere } from './merged-elsewhere.ts';

export class MergeNotes {
  readonly ofSteps: Pick<StepContext, 'mergedElsewhere' | 'mergesLookedAt' | 'recordMergedElsewhere'>;

  constructor({ history, journal, lease }: Pick<HostParts, 'history' | 'journal' | 'lease'>) {
    const noted = new Set(history.mergedElsewhere);
    this.ofSteps = {
      mergedElsewhere: noted,
      mergesLookedAt: new Set(),
      async recordMergedElsewhere(files) {
        await journal.append(lease, [mergedElsewhere(files)], { durable: true });
        for (const file of files) noted.add(file);
      },
    };
  }
}
