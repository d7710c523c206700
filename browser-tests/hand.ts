/** How long a page takes to answer a hand, measured in the browser itself. */
import type { Page } from 'playwright-core';

const ROUNDS = 8;

export async function bestRoundOf(on: Page, selector: string, values: readonly string[]): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await worstOf(on, selector, values));
  return Math.min(...rounds);
}

/** From the hand's input to the next frame that shows it; milliseconds. */
function worstOf(on: Page, selector: string, values: readonly string[]): Promise<number> {
  return on.evaluate(
    async ([field, inputs]) => {
      const input = document.querySelector<HTMLInputElement>(field);
      if (input === null) throw new Error(`no ${field}`);
      let worst = 0;
      for (const value of inputs) {
        const began = performance.now();
        input.value = value;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 0)));
        worst = Math.max(worst, performance.now() - began);
      }
      return worst;
    },
    [selector, values] as const,
  );
}
