/** Takes the screenshots of docs/screenshots with Chromium, in light and in dark: to be looked at before they are shown. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { InspectionEvent } from 'xstate';
import { busyJournal } from '../scripts/picture-stories.ts';
import { createEngine } from '../src/engine/engine.ts';
import { serveInspect } from '../src/inspect/server.ts';
import { chartEventOf } from '../src/inspect/tell-chart-event.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../src/lab/choice.ts';
import { LiveRuns } from '../src/lab/live-runs.ts';
import { runLab } from '../src/lab/run-lab.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { createSim } from '../src/sim/index.ts';
import { startBrowser } from './browser.ts';

const FOLDER = process.argv[2] ?? join(import.meta.dirname, '../docs/screenshots');
/** By the name of the screenshot: what is shown, and in which window. */
const VIEWS = {
  'page-rolled-back': { saga: '7hw0c3zq8n2dk', width: 1440, height: 1000 },
  'page-needs-recovery': { saga: '0vd5r8m2j6x1a', width: 1440, height: 1000 },
  'page-under-way': { saga: '2f9s4t7b1y3qe', width: 1440, height: 900 },
  'phone-rolled-back': { saga: '7hw0c3zq8n2dk', width: 390, height: 844 },
} as const;

const CHOICE = {
  ...{ seed: 1, profile: '7.2', disks: 3, layers: 1, operation: 'copy' },
  faults: [{ kind: 'jobError', step: '', disk: 1, percent: 37 }],
};

mkdirSync(FOLDER, { recursive: true });
// The servers hand out the page as it is made here.
const browser = await startBrowser();
const { journal } = await busyJournal();
const server = await serveInspect({ journal, processes: { isAlive: () => true }, clock: systemClock });
const live = new LiveRuns(systemClock);
const laboratory = await serveInspect({
  ...{ journal: memoryJournal(), processes: { isAlive: () => true }, clock: systemClock },
  lab: {
    offers: { profiles: PROFILES, first: null },
    run: choice => runLab(scenarioOf(readChoice(choice))),
    live: asked => live.ask(asked),
  },
});
await chartOfRolledBack();
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [name, { saga, width, height }] of Object.entries(VIEWS)) {
      const page = await browser.newPage({
        colorScheme,
        viewport: { width, height },
        reducedMotion: 'reduce',
      });
      page.on('console', message => console.log(message.text()));
      await page.goto(`${server.address}#${saga}`);
      await page.locator('h2').waitFor();
      await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}.png`) });
      await page.close();
    }
    const charts = await browser.newPage({
      ...{ colorScheme, viewport: { width: 1440, height: 1080 }, reducedMotion: 'reduce' },
    });
    await charts.goto(`${server.address}#/charts`);
    await charts.locator('.c-here').first().waitFor();
    await charts.screenshot({ path: join(FOLDER, `chart-${colorScheme}.png`) });
    await charts.close();
    const page = await browser.newPage({
      ...{ colorScheme, viewport: { width: 1440, height: 1100 }, reducedMotion: 'reduce' },
    });
    await page.goto(`${laboratory.address}#lab=${encodeURIComponent(JSON.stringify(CHOICE))}`);
    await page.getByText('failed, copy removed').waitFor({ state: 'attached' });
    await page.screenshot({ path: join(FOLDER, `laboratory-${colorScheme}.png`) });
    await page.getByRole('button', { name: 'Run it step by step' }).click();
    const standing = page.locator('.live output');
    await standing.waitFor();
    for (let step = 1; step < 10; step += 1) {
      await page.getByRole('button', { name: 'Next step' }).click();
      await page.waitForTimeout(150);
    }
    await page.screenshot({ path: join(FOLDER, `laboratory-live-${colorScheme}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
  await laboratory.close();
}

/** Sends the chart of a copy that is rolled back, as its process would. */
async function chartOfRolledBack(): Promise<void> {
  const full = { kind: 'jobFails', nth: 8, percent: 37, error: 'No space left on device' } as const;
  const sim = createSim({ disks: 3, faults: [full] });
  const inspect = (event: InspectionEvent) => {
    const told = chartEventOf(event, sim.clock.epochMs());
    if (told !== undefined) server.charts.add(told);
  };
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock, inspect });
  const disks = ['disk0', 'disk1', 'disk2'].map(disk => ({ disk, to: `/images/${disk}.copy` }));
  const saga = await sim.run(
    engine.copy({ qmp: sim.connect, files: sim.files, id: '7hw0c3zq8n2dk', vm: 'db-1', disks }),
  );
  await sim.run(saga.result);
}
