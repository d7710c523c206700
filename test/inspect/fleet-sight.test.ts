/** What a page is told of a fleet that answers late, never, or was asked long ago. */
import { expect, it } from 'vitest';
import { FleetSight } from '../../src/inspect/fleet-sight.ts';
import type { FleetAnswer } from '../../src/inspect/fleet-told.ts';
import { createVirtualClock } from '../../src/sim/host/virtual-clock.ts';

const HOSTS: FleetAnswer = {
  hosts: [{ host: 'h1', agent: 'http://127.0.0.1:7171', status: null }],
  stuck: [],
};

function scene() {
  const clock = createVirtualClock();
  const asked: (PromiseWithResolvers<FleetAnswer> & { readonly signal: AbortSignal })[] = [];
  const sight = new FleetSight(signal => {
    const answer = Promise.withResolvers<FleetAnswer>();
    signal.addEventListener('abort', () => answer.reject(signal.reason));
    asked.push({ ...answer, signal });
    return answer.promise;
  }, clock);
  /** As a page does that is open. */
  const watch = async (seconds: number) => {
    for (let at = 0; at < seconds; at += 1) {
      await clock.advance(1_000);
      sight.now();
    }
  };
  return { clock, sight, asked, watch };
}

it('says that what it shows may be old when nothing has been heard for six seconds, and asks anew at last', async () => {
  const { sight, asked, watch } = scene();
  expect(sight.now()).toEqual({ hosts: null, stuck: null, trouble: null });
  asked[0]?.resolve(HOSTS);
  await watch(2);
  expect(sight.now()).toEqual({ ...HOSTS, trouble: null });
  await watch(1);
  expect(asked).toHaveLength(2);
  await watch(6);
  expect(sight.now().trouble).toBeNull();
  await watch(1);
  expect(sight.now()).toEqual({ ...HOSTS, trouble: 'The fleet has not answered for more than 6 s' });
  await watch(37);
  expect([asked.length, asked[1]?.signal.aborted]).toEqual([2, false]);
  await watch(2);
  expect([asked.length, asked[1]?.signal.aborted]).toEqual([3, true]);
  expect(sight.now().trouble).toBe('The fleet has not answered within 45 s, and is asked again');
  asked[2]?.resolve(HOSTS);
  await watch(1);
  expect(sight.now().trouble).toBeNull();
});

it('does not tell a page what another one was told long ago', async () => {
  const { clock, sight, asked, watch } = scene();
  sight.now();
  asked[0]?.resolve(HOSTS);
  await watch(1);
  expect(sight.now().hosts).toEqual(HOSTS.hosts);
  await clock.advance(3_600_000);
  expect(sight.now()).toEqual({ hosts: null, stuck: null, trouble: null });
  expect(asked).toHaveLength(2);
});

it('says why it is not known how the hosts are, and lets go of what it asks at its end', async () => {
  const { sight, asked, watch } = scene();
  sight.now();
  asked[0]?.reject(new Error('Restate is restarting'));
  await watch(1);
  expect(sight.now()).toEqual({ hosts: null, stuck: null, trouble: 'Restate is restarting' });
  await watch(2);
  sight.close();
  expect(asked[1]?.signal.aborted).toBe(true);
});
