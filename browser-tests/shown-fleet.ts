/** A fleet to be looked at in the screenshots: a move is under way, one guest needs a person, one host is silent. */
import type { FleetHost } from '../src/inspect/fleet-told.ts';

const numbered = (name: string, from: number, count: number) =>
  Array.from({ length: count }, (_, at) => `${name}-${from + at}`);

function host(
  name: string,
  guests: readonly string[],
  sagas: NonNullable<FleetHost['status']>['sagas'] = [],
): FleetHost {
  const status = { guests: guests.map(vm => ({ vm })), sagas };
  return { host: name, agent: `https://${name}.example:7171`, status };
}

const copyOf = (vm: string) => ({ id: `evacuate-1.${vm}`, vm, operation: 'copy', state: 'open' });

export function shownFleet(): readonly FleetHost[] {
  return [
    host(
      'rack1-a',
      ['web-1', 'shop-1', 'cache-1', ...numbered('worker', 1, 9)],
      [copyOf('web-1'), copyOf('shop-1')],
    ),
    host(
      'rack1-b',
      ['db-1', 'db-2', 'mail', ...numbered('worker', 10, 7)],
      [{ id: '0vd5r8m2j6x1a', vm: 'db-1', operation: 'snapshot', state: 'needsRecovery' }],
    ),
    host('rack1-c', ['web-2', 'shop-2', 'cache-2', ...numbered('build', 1, 12)]),
    { host: 'rack2-a', agent: 'https://rack2-a.example:7171', status: null },
    host('rack2-b', ['web-3', 'queue', ...numbered('build', 13, 26)], [copyOf('queue')]),
    host('rack2-c', ['registry', 'metrics', ...numbered('runner', 1, 18)]),
  ];
}
