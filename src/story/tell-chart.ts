/** The story of a plan that nothing has run yet: its line of steps, for those who look at charts. */
import type { SagaRow } from '../journal/journal.ts';
import type { Plan } from '../plan/plan.ts';
import type { Story } from './story.ts';
import { tellStory } from './tell.ts';

export function tellChart(name: string, plan: Plan): Story {
  const row: SagaRow = {
    ...{ id: name, vm: '', operation: plan.operation, planVersion: plan.planVersion, address: '' },
    ...{ request: null, plan: null, state: 'open' as const, result: null, createdAtMs: 0, endedAtMs: null },
    holder: { pid: 0, bootId: '', startedAt: '' },
  };
  return tellStory({ row, plan, records: [], isRunning: true });
}
