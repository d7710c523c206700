import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Publisher, publisherOf } from '../../src/engine/connection/publish.ts';
import { recoverOffline } from '../../src/engine/recovery/recover-offline.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { systemClock } from '../../src/qmp/clock.ts';
import type { Sim } from '../../src/sim/create-sim.ts';
import { virtualImages } from '../../src/sim/virtual-images.ts';
import type { Definition } from '../../src/steps/finish/publish-definitions.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { entered, type Life, live, rejection, smallSim } from './lives.ts';

const NEW = ['/images/new0.qcow2', '/images/new1.qcow2'];
const COPY = NEW.map((to, index) => ({ disk: `dev${index}`, to }));
const SNAPSHOT = NEW.map((overlay, index) => ({ disk: `dev${index}`, overlay }));
const fronts = (sim: Sim) => sim.world.fronts().map(front => front.path);

/** Hears definitions, and refuses the first `refusals` of them. */
function listener(refusals = 0) {
  const heard: Definition[] = [];
  let left = refusals;
  const onCommit: Publisher = async definition => {
    heard.push(definition);
    left -= 1;
    if (left >= 0) throw new Error('the database is away');
  };
  return { heard, onCommit };
}

const copy = (sim: Sim, { engine, guest }: Life, finish: 'pivot' | 'clone' = 'pivot') =>
  sim.run(engine.copy({ ...guest, id: 's', vm: 'web', disks: COPY, finish }));

describe('the keeper of the VM’s records', () => {
  test('is told of the new disks of a copy once the guest runs on them, and before the saga ends', async () => {
    const sim = smallSim({ backingLayers: 1 });
    const states: string[] = [];
    const { heard, onCommit } = listener();
    const life = live(sim, undefined, {
      onCommit: async definition => {
        states.push(...fronts(sim), String(sim.world.running), life.journal.saga('s')?.state ?? '');
        await onCommit(definition);
      },
    });
    const saga = await copy(sim, life);
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(states).toEqual([...NEW, 'true', 'open']);
    expect(heard).toEqual([
      {
        saga: 's',
        vm: 'web',
        operation: 'copy',
        disks: [0, 1].map(index => ({
          disk: `dev${index}`,
          qdev: expect.stringContaining(`dev${index}`),
          file: NEW[index],
          format: 'qcow2',
          chain: [{ file: NEW[index], format: 'qcow2' }],
          before: { file: `/images/disk${index}.qcow2`, format: 'qcow2' },
        })),
      },
    ]);
  });

  test('is told of the overlays of a snapshot with all that is below them', async () => {
    const sim = smallSim();
    const { heard, onCommit } = listener();
    const { engine, guest } = live(sim, undefined, { onCommit });
    const saga = await sim.run(engine.snapshot({ ...guest, disks: SNAPSHOT }));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(heard[0]?.disks[1]?.chain.map(image => image.file)).toEqual([NEW[1], '/images/disk1.qcow2']);
  });

  test('is not told of a clone, nor of what was taken back', async () => {
    const { heard, onCommit } = listener();
    const sim = smallSim();
    const saga = await copy(sim, live(sim, undefined, { onCommit }), 'clone');
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    const other = smallSim({ faults: [{ kind: 'refuse', command: 'blockdev-reopen' }] });
    const back = await copy(other, live(other, undefined, { onCommit }));
    expect((await other.run(back.result)).outcome).toBe('rolledBack');
    expect(heard).toEqual([]);
  });

  test('is told again for minutes when he does not take it, and nothing is taken back meanwhile', async () => {
    const sim = smallSim();
    const { heard, onCommit } = listener(7);
    const saga = await copy(sim, live(sim, undefined, { onCommit }));
    const beganMs = sim.clock.now();
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect([heard.length, fronts(sim)]).toEqual([8, NEW]);
    expect(sim.clock.now() - beganMs).toBeGreaterThan(60_000);
  });

  test('who never takes it leaves the saga in need of recovery, with the guest running, and is told by a resume', async () => {
    const sim = smallSim();
    const life = live(sim, undefined, listener(1000));
    const saga = await copy(sim, life);
    const result = await sim.run(saga.result);
    expect(result).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'PUBLISH', step: 'publishDefinitions', message: expect.stringMatching(/away/) },
    });
    expect([fronts(sim), sim.world.running]).toEqual([NEW, true]);
    const { heard, onCommit } = listener();
    const next = live(sim, life.die(), { onCommit });
    const again = await sim.run(next.engine.resume('s', next.guest));
    expect((await sim.run(again.result)).outcome).toBe('committed');
    expect(heard).toHaveLength(1);
  });

  test('is told by the process that goes on when the first one died while telling', async () => {
    const sim = smallSim();
    const first = live(sim, undefined, { onCommit: () => new Promise(() => undefined) });
    await sim.run(entered(await copy(sim, first), 'publishDefinitions'));
    await sim.advance(1);
    const { heard, onCommit } = listener();
    const next = live(sim, first.die(), { onCommit });
    const saga = await sim.run(next.engine.resume('s', next.guest));
    expect((await sim.run(saga.result)).outcome).toBe('committed');
    expect(heard).toHaveLength(1);
  });

  test('is missed at once, not after minutes, where a saga of a program is resumed by another', async () => {
    const sim = smallSim();
    const first = live(sim, undefined, { onCommit: () => new Promise(() => undefined) });
    await sim.run(entered(await copy(sim, first), 'publishDefinitions'));
    const next = live(sim, first.die());
    const saga = await sim.run(next.engine.resume('s', next.guest));
    const beganMs = sim.clock.now();
    expect(await sim.run(saga.result)).toMatchObject({
      outcome: 'needsRecovery',
      error: { code: 'REQUEST_INVALID', message: expect.stringMatching(/--on-commit/) },
    });
    expect(sim.clock.now() - beganMs).toBeLessThan(1_000);
  });

  test('is told by an offline recovery too, before it ends the saga', async () => {
    const sim = smallSim();
    const first = live(sim, undefined, { onCommit: () => new Promise(() => undefined) });
    await sim.run(entered(await copy(sim, first), 'publishDefinitions'));
    const journal = memoryJournal(first.die(), { clock: sim.clock });
    sim.kill();
    const options = { clock: sim.clock, files: sim.files, images: virtualImages(sim) };
    const refuses = listener(1000);
    const refused = await sim.run(
      rejection(recoverOffline(journal, 's', { ...options, publisher: refuses.onCommit })),
    );
    expect([refused.code, journal.saga('s')?.state]).toEqual(['PUBLISH', 'open']);
    const { heard, onCommit } = listener();
    const next = memoryJournal(journal.snapshot(), { clock: sim.clock });
    const result = await sim.run(recoverOffline(next, 's', { ...options, publisher: onCommit }));
    expect([result.outcome, heard.length]).toEqual(['committed', 1]);
  });

  test('cannot be named afterwards where none was to be told', async () => {
    const sim = smallSim();
    const first = live(sim);
    await sim.run(entered(await copy(sim, first), 'mirrorDisks'));
    const next = live(sim, first.die());
    const onCommit = { program: '/bin/true', arguments: [] };
    expect(await rejection(next.engine.resume('s', { ...next.guest, onCommit }))).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});

describe('a program that is told', () => {
  const definition = { id: 's', vm: 'web', operation: 'copy' };

  function script(body: string): string {
    const file = join(temporaryFolder(), 'tell me.sh');
    writeFileSync(file, `#!/bin/sh\n${body}\n`);
    chmodSync(file, 0o700);
    return file;
  }

  const tell = (program: string, ...list: readonly string[]) =>
    publisherOf(definition, { by: 'program', program, arguments: list }, undefined, systemClock)([]);

  test('gets one line of JSON, its arguments as they are, and takes it by status 0', async () => {
    const heard = join(temporaryFolder(), 'heard');
    await tell(script('cat > "$1"; printf "%s" "$2" >> "$1"'), heard, '$HOME; a b');
    const [line, argument] = readFileSync(heard, 'utf8').split('\n');
    expect(JSON.parse(line ?? '')).toEqual({ saga: 's', vm: 'web', operation: 'copy', disks: [] });
    expect(argument).toBe('$HOME; a b');
  });

  test('need not read what it gets', async () => {
    await expect(tell('/bin/true')).resolves.toBeUndefined();
  });

  test('that fails is told of with its status and what it said', async () => {
    const error = await rejection(tell(script('echo "no such VM" >&2; exit 3')));
    expect(error).toMatchObject({
      code: 'PUBLISH',
      retryable: true,
      message: expect.stringMatching(/tell me.sh ended with status 3: no such VM/),
    });
  });

  test('that cannot be run is told of as such', async () => {
    expect(await rejection(tell('/no/such/program'))).toMatchObject({
      code: 'PUBLISH',
      message: expect.stringMatching(/cannot be run/),
    });
  });

  test('that does not end is ended after a minute', async () => {
    const sim = smallSim();
    const told = rejection(
      publisherOf(
        definition,
        { by: 'program', program: script('exec sleep 100'), arguments: [] },
        undefined,
        sim.clock,
      )([]),
    );
    await sim.advance(60_000);
    expect(await told).toMatchObject({ message: expect.stringMatching(/within 60000 ms/) });
  });
});
