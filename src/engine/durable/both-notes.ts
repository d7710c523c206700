/** What the steps of one saga note of disks on both sides of which the guest has run: in memory, and in the journal. It looks at nothing. */
import type { StepContext } from '../../steps/step/step.ts';
import type { HostParts } from './host-parts.ts';
import { ranOnBoth } from './ran-on-both.ts';

export class BothNotes {
  readonly ofSteps: Pick<StepContext, 'ranOnBoth' | 'recordRanOnBoth'>;

  constructor({ history, journal, lease }: Pick<HostParts, 'history' | 'journal' | 'lease'>) {
    const noted = new Set(history.ranOnBoth);
    this.ofSteps = {
      ranOnBoth: noted,
      async recordRanOnBoth(disks) {
        const indexes = disks.map(({ index }) => index);
        for (const index of indexes) noted.add(index);
        await journal.append(lease, [ranOnBoth(indexes)], { durable: true });
      },
    };
  }
}
