/** What one input of a hand costs the page, counted in the browser itself: the same on every machine. */
import type { Page } from 'playwright-core';

/** The most of any one input. */
export interface Work {
  /** Elements, texts and attributes that were added, removed or changed. */
  readonly changes: number;
  /** Calls of the page's functions. */
  readonly calls: number;
}

/** Puts each of `values` into the field, as a hand does, and waits for the frame that shows it. */
export async function workOf(on: Page, selector: string, values: readonly string[]): Promise<Work> {
  const changes = Math.max(...(await changesOf(on, selector, values)));
  const devtools = await on.context().newCDPSession(on);
  await devtools.send('Profiler.enable');
  await devtools.send('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  let calls = 0;
  for (const value of values) {
    await devtools.send('Profiler.takePreciseCoverage');
    await changesOf(on, selector, [value]);
    const { result } = await devtools.send('Profiler.takePreciseCoverage');
    const counts = result.flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0]?.count ?? 0));
    calls = Math.max(
      calls,
      counts.reduce((all, count) => all + count, 0),
    );
  }
  await devtools.detach();
  return { changes, calls };
}

function changesOf(on: Page, selector: string, values: readonly string[]): Promise<number[]> {
  return on.evaluate(
    async ([field, inputs]) => {
      const input = document.querySelector<HTMLInputElement>(field);
      if (input === null) throw new Error(`no ${field}`);
      const counted: number[] = [];
      let changes = 0;
      const seen = new MutationObserver(records => {
        for (const { addedNodes, removedNodes } of records)
          changes += Math.max(1, addedNodes.length + removedNodes.length);
      });
      seen.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
      for (const value of inputs) {
        changes = 0;
        input.value = value;
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 0)));
        counted.push(changes);
      }
      seen.disconnect();
      return counted;
    },
    [selector, values] as const,
  );
}
