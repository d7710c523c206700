/** What listeners of `onBlockJob` throw or reject with: the call and the other listeners go on, and it is told. */
import { expect, test } from 'vitest';
import { createEngine } from '../../src/engine/engine.ts';
import { type ListenerPlace, memoryJournal } from '../../src/index.ts';
import { openDomain } from '../../src/libvirt/index.ts';
import { smallSim } from '../engine/lives.ts';
import { thrown, WAYS } from '../engine/ways-to-fail.ts';

test.each(Object.entries(WAYS))('a listener that %s is told of, and the next one hears', async (_, way) => {
  const sim = smallSim();
  const told: (readonly [unknown, ListenerPlace])[] = [];
  const engine = createEngine({ journal: memoryJournal(), clock: sim.clock });
  const domain = openDomain({
    ...{ engine, qmp: sim.connect, files: sim.files, clock: sim.clock },
    onListenerError: (error, place) => void told.push([error, place]),
  });
  const heard: string[] = [];
  domain.onBlockJob(() => way() as undefined);
  domain.onBlockJob(({ status }) => void heard.push(status));
  await sim.run(domain.blockCopy('dev0', { file: '/images/new0.qcow2' }));
  await sim.advance(60_000);
  await sim.run(domain.blockJobAbort('dev0', ['PIVOT']));
  expect(heard).toEqual(['READY', 'COMPLETED']);
  const place = { listener: 'onBlockJob', saga: expect.any(String) };
  expect(told).toEqual([
    [thrown, place],
    [thrown, place],
  ]);
});
