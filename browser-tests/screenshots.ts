/** Takes the screenshots of docs/screenshots with Chromium, in light and in dark: to be looked at before they are shown. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InspectionEvent } from 'xstate';
import { busyJournal, scarredJournal } from '../scripts/picture-stories.ts';
import { startGuestVm } from '../src/demo/guest-vm.ts';
import { createEngine } from '../src/engine/engine.ts';
import { serveInspect } from '../src/inspect/server.ts';
import { chartEventOf } from '../src/inspect/tell-chart-event.ts';
import { memoryJournal } from '../src/journal/memory.ts';
import { PROFILES, readChoice, scenarioOf } from '../src/lab/choice.ts';
import { LiveRuns } from '../src/lab/live-runs.ts';
import { runLab } from '../src/lab/run-lab.ts';
import { systemClock } from '../src/qmp/clock.ts';
import { connectSocket } from '../src/qmp/socket.ts';
import { createSim } from '../src/sim/index.ts';
import { startBrowser } from './browser.ts';
import { shownFleet } from './shown-fleet.ts';

const FOLDER = process.argv[2] ?? join(import.meta.dirname, '../docs/screenshots');
/** By the name of the screenshot: what is shown, and in which window. */
const VIEWS = {
  'page-under-way': { of: 'web', saga: '2f9s4t7b1y3qe', width: 1440, height: 900 },
  'phone-under-way': { of: 'web', saga: '2f9s4t7b1y3qe', width: 390, height: 1240 },
  'page-rolled-back': { of: 'db', saga: '7hw0c3zq8n2dk', width: 1440, height: 1080 },
  'page-needs-recovery': { of: 'db', saga: '0vd5r8m2j6x1a', width: 1440, height: 1040 },
  'page-resumed': { of: 'shop', saga: '3x8q5v0n7c2pt', width: 1440, height: 960 },
  'phone-rolled-back': { of: 'db', saga: '7hw0c3zq8n2dk', width: 390, height: 1240 },
  'phone-needs-recovery': { of: 'db', saga: '0vd5r8m2j6x1a', width: 390, height: 1240 },
  'phone-resumed': { of: 'shop', saga: '3x8q5v0n7c2pt', width: 390, height: 1240 },
} as const;

const FLEET_VIEWS = {
  'page-fleet': { width: 1440, height: 900 },
  'phone-fleet': { width: 390, height: 1240 },
} as const;

/** Bytes per second: the mirrors outlast the screenshots of them, which come first. */
const SLOWLY = 2 * 2 ** 20;
const CHOICE = {
  ...{ seed: 1, profile: '7.2', disks: 3, layers: 1, operation: 'copy' },
  faults: [{ kind: 'jobError', step: '', disk: 1, percent: 37 }],
};

mkdirSync(FOLDER, { recursive: true });
// The servers hand out the page as it is made here.
const browser = await startBrowser();
const { journal } = await busyJournal();
const web = await underWay();
const server = await serveInspect({
  ...{ journal, name: 'db', processes: { isAlive: () => true }, clock: systemClock },
  beside: [
    { journal: web.journal, name: 'web', connect: web.connect },
    { journal: await scarredJournal(), name: 'shop' },
  ],
});
const fleet = await serveInspect({
  ...{ journal, processes: { isAlive: () => true }, clock: systemClock },
  fleet: async () => ({ hosts: shownFleet(), stuck: [] }),
});
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
    for (const [name, { of, saga, width, height }] of Object.entries(VIEWS)) {
      const page = await browser.newPage({
        colorScheme,
        viewport: { width, height },
        reducedMotion: 'reduce',
      });
      page.on('console', message => console.log(message.text()));
      await page.goto(`${server.address}#${of}/${saga}`);
      await page.locator('h2').waitFor();
      if (of === 'web') await page.locator('.disks svg text', { hasText: /left$/ }).nth(2).waitFor();
      await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}.png`) });
      await page.close();
    }
    for (const [name, viewport] of Object.entries(FLEET_VIEWS)) {
      const page = await browser.newPage({ colorScheme, viewport, reducedMotion: 'reduce' });
      await page.goto(`${fleet.address}#/fleet`);
      await page.locator('.host').first().waitFor();
      await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}.png`) });
      await page.close();
    }
    const charts = await browser.newPage({
      ...{ colorScheme, viewport: { width: 1900, height: 1420 }, reducedMotion: 'reduce' },
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
    for (let step = 1; step < 7; step += 1) {
      await page.getByRole('button', { name: 'Next step' }).click();
      await page.waitForTimeout(150);
    }
    await page.screenshot({ path: join(FOLDER, `laboratory-live-${colorScheme}.png`) });
    await page.close();
    const phone = await browser.newPage({
      ...{ colorScheme, viewport: { width: 390, height: 1240 }, reducedMotion: 'reduce' },
    });
    await phone.goto(`${laboratory.address}#lab=${encodeURIComponent(JSON.stringify(CHOICE))}`);
    await phone.getByText('failed, copy removed').waitFor({ state: 'attached' });
    await phone.screenshot({ path: join(FOLDER, `phone-laboratory-${colorScheme}.png`) });
    await phone.close();
  }
} finally {
  await browser.close();
  await server.close();
  await fleet.close();
  await laboratory.close();
  await web.close();
}
// The saga of the guest that is gone has nothing to end for.
process.exit();

/** A copy of a real guest that writes: it is in the middle of its mirrors while the screenshots are taken. */
async function underWay() {
  const folder = mkdtempSync(join(tmpdir(), 'blocksaga-screenshots-'));
  const own = join(folder, 'page.qmp');
  const extraArguments = ['-qmp', `unix:${own},server=on,wait=off`];
  const vm = await startGuestVm({ disks: 3, backing: true, sizeBytes: 2 ** 30, extraArguments });
  for (const [at, { device }] of vm.disks.entries()) {
    const write = `qemu-io -d /machine/peripheral/${device}/virtio-backend "write -P 7 64M ${160 + 30 * at}M"`;
    await vm.witness.execute('human-monitor-command', { 'command-line': write });
  }
  const of = memoryJournal();
  const engine = createEngine({ journal: of });
  const disks = vm.disks.map(({ device }, at) => ({
    disk: device,
    to: join(vm.directory, `copy${at}.qcow2`),
  }));
  const request = { qmp: vm.monitor, id: '2f9s4t7b1y3qe', vm: 'cache-3', disks };
  await engine.copy({ ...request, bandwidth: SLOWLY, parallel: 3, finish: 'leave' });
  return {
    journal: of,
    connect: connectSocket(own, { clock: systemClock }),
    async close() {
      await vm[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
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
