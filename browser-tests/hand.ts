/** How long a page takes to answer a hand, measured in the browser itself, beside what the same browser takes for its elements alone. */
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

const ROUNDS = 8;

/** Milliseconds, each of the best of some rounds: what else runs on the machine is not what is measured. */
export interface Answered {
  /** The longest of the inputs. */
  readonly worstMs: number;
  /** The longest of as many times to copy and lay out all of the page's elements once, with nothing of ours run: as slow as the machine is now. */
  readonly bareMs: number;
}

/** An input costs at most so many times what the browser takes for the bare elements of the whole page, however slow the machine is. */
const REDRAWS_MAX = 3;
/** What a hand takes for at once. */
const AT_ONCE_MS = 100;

/** Prints what was measured. An absolute bound is asked of a machine only where its bare elements leave half of it. */
export function expectAtOnce(measured: Readonly<Record<string, Answered>>): void {
  const told = Object.entries(measured).map(
    ([what, { worstMs, bareMs }]) =>
      `${what}: ${worstMs.toFixed(0)} ms at worst (bare elements ${bareMs.toFixed(0)} ms)`,
  );
  console.log(told.join('\n'));
  for (const [what, { worstMs, bareMs }] of Object.entries(measured)) {
    expect(worstMs / bareMs, `${what}, beside bare elements`).toBeLessThan(REDRAWS_MAX);
    if (bareMs < AT_ONCE_MS / 2) expect(worstMs, what).toBeLessThan(AT_ONCE_MS);
  }
}

/** Rounds of both in turn, so that both meet the same machine. */
export async function answerOf(on: Page, selector: string, values: readonly string[]): Promise<Answered> {
  let worstMs = Number.POSITIVE_INFINITY;
  let bareMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    worstMs = Math.min(worstMs, await worstOf(on, selector, values));
    bareMs = Math.min(bareMs, await bareOf(on, values.length));
  }
  return { worstMs, bareMs };
}

function bareOf(on: Page, times: number): Promise<number> {
  return on.evaluate(async count => {
    let worst = 0;
    for (let time = 0; time < count; time += 1) {
      const began = performance.now();
      const copy = document.createElement('div');
      for (const child of document.body.children) copy.append(child.cloneNode(true));
      document.body.append(copy);
      await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 0)));
      worst = Math.max(worst, performance.now() - began);
      copy.remove();
    }
    return worst;
  }, times);
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
