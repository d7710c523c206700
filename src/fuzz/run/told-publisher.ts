/** The `onCommit` of a scenario: what it was told, whether it took it or not. */
import type { Publisher } from '../../engine/connection/publish.ts';
import type { Definition } from '../../steps/finish/publish-definitions.ts';
import type { Scenario } from '../scenario/scenario.ts';

export class ToldPublisher {
  readonly told: Definition[] = [];
  /** Undefined where the scenario has none. */
  readonly publisher: Publisher | undefined;

  /** `isDone`: nothing goes wrong any more. */
  constructor({ publisher }: Pick<Scenario, 'publisher'>, isDone: () => boolean) {
    if (publisher === undefined) return;
    this.publisher = async definition => {
      this.told.push(definition);
      const refuses = !isDone() && this.told.length <= publisher.refusals;
      if (refuses) throw new Error('the records cannot be written now');
    };
  }
}
