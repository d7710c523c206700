/** A failure that does not count, since an earlier attempt's commands have brought the effect about by then. */
import type { Plan } from '../../plan/plan.ts';
import type { Probe, StepContext } from './step.ts';

/**
 * Brings an effect about; in an attempt after another one, whose commands QEMU may still be at, a failure counts only
 * when the effect is not there by then.
 */
export async function unlessThere<P extends Plan>(
  context: StepContext<P>,
  probe: (context: StepContext<P>) => Promise<Probe>,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (context.nothingSentYet) throw error;
    const { absent, foreign } = await probe(context);
    if (absent.length + foreign.length > 0) throw error;
  }
}
