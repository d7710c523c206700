/** The fleet: its hosts, their guests, and what is under way there; what needs a person first, with the command to type and where. */
import { useState } from 'preact/hooks';
import type { FleetHost, FleetSaga, FleetStuck, FleetTold } from '../src/inspect/fleet-told.ts';
import { countOf, visible } from '../src/railway/words.ts';

/** Guests of one host that are drawn; the search finds the others. */
const DRAWN_MAX = 60;
const NEEDS = 'needsRecovery';

export interface FleetCounts {
  readonly hosts: number;
  readonly silent: number;
  readonly guests: number;
  readonly underWay: number;
  /** Sagas that need recovery. */
  readonly needs: number;
  /** What does not go on at Restate. */
  readonly stuck: number;
}

export function countsOf({ hosts, stuck }: Pick<FleetTold, 'hosts' | 'stuck'>): FleetCounts {
  return { ...countsOfHosts(hosts ?? []), stuck: stuck?.length ?? 0 };
}

function countsOfHosts(hosts: readonly FleetHost[]): Omit<FleetCounts, 'stuck'> {
  const sagas = hosts.flatMap(({ status }) => status?.sagas ?? []);
  const needs = sagas.filter(({ state }) => state === NEEDS).length;
  return {
    hosts: hosts.length,
    silent: hosts.filter(({ status }) => status === null).length,
    guests: hosts.reduce((sum, { status }) => sum + (status?.guests.length ?? 0), 0),
    ...{ underWay: sagas.length - needs, needs },
  };
}

export function FleetView({ told }: { readonly told: FleetTold | null }) {
  const [search, setSearch] = useState('');
  if (told === null)
    return (
      <p class="quiet">
        This page has no fleet: <span class="mono">blocksaga inspect --fleet ADDRESS</span> has the ingress of
        one.
      </p>
    );
  const { hosts, stuck, trouble } = told;
  return (
    <article class="fleet" aria-labelledby="title">
      <header>
        <h2 id="title">Fleet</h2>
        {hosts === null ? (
          <p class="quiet">{trouble === null ? 'Asking the fleet …' : null}</p>
        ) : (
          <Counts {...countsOf(told)} />
        )}
      </header>
      {trouble === null ? null : (
        <p class="notice" role="alert">
          {hosts === null ? '' : 'What you see may be old. '}
          {visible(trouble)}
        </p>
      )}
      {hosts === null ? null : hosts.length === 0 ? (
        <p class="quiet">
          No host has joined yet: <span class="mono">blocksaga fleet join AGENT</span>
        </p>
      ) : (
        <>
          <NeedsYou hosts={hosts} stuck={stuck ?? []} />
          {stuck === null ? <p class="notice">Whether Restate has paused anything is not known.</p> : null}
          <input
            type="search"
            aria-label="Search the fleet by host, guest, operation or saga"
            placeholder="host, guest, operation, saga"
            value={search}
            onInput={event => setSearch(event.currentTarget.value)}
          />
          <Hosts hosts={hosts} search={search} />
        </>
      )}
    </article>
  );
}

function Counts({ hosts, silent, guests, underWay, needs, stuck }: FleetCounts) {
  return (
    <p class="counts" role="status">
      <span>
        <strong>{hosts}</strong> {hosts === 1 ? 'host' : 'hosts'}
      </span>
      <span>
        <strong>{guests}</strong> {guests === 1 ? 'guest' : 'guests'}
      </span>
      <span class={underWay > 0 ? 'l-under-way' : ''}>
        <strong>{underWay}</strong> under way
      </span>
      {needs === 0 ? null : (
        <span class="l-needs-recovery">
          <strong>{needs}</strong> {needs === 1 ? 'needs' : 'need'} recovery
        </span>
      )}
      {stuck === 0 ? null : (
        <span class="l-needs-recovery">
          <strong>{stuck}</strong> stuck at Restate
        </span>
      )}
      {silent === 0 ? null : (
        <span class="l-needs-recovery">
          <strong>{silent}</strong> {silent === 1 ? 'does' : 'do'} not answer
        </span>
      )}
    </p>
  );
}

interface Needing {
  readonly hosts: readonly FleetHost[];
  readonly stuck: readonly FleetStuck[];
}

function NeedsYou({ hosts, stuck }: Needing) {
  const sagas = hosts.flatMap(({ host, status }) =>
    (status?.sagas ?? []).filter(({ state }) => state === NEEDS).map(saga => ({ ...saga, host })),
  );
  if (sagas.length + stuck.length === 0) return null;
  return (
    <section class="needs-you" aria-label="What needs you">
      <h3>Needs you</h3>
      <ul>
        {sagas.map(({ host, id, vm, operation }) => (
          <li key={`${host}/${id}`}>
            <p>
              <strong>{visible(vm)}</strong>: its {visible(operation)} needs recovery
            </p>
            <p class="command">
              <span class="quiet">on {visible(host)}</span>{' '}
              <code>blocksaga resume {visible(id)} --journal FILE</code>{' '}
              <span class="quiet">that of its agent</span>
            </p>
          </li>
        ))}
        {stuck.map(({ id, target, status, why }) => (
          <li key={id}>
            <p>
              <strong>{visible(target)}</strong>:{' '}
              {status === 'paused' ? 'paused by Restate' : 'fails again and again'}
              {why === null ? '' : `: ${visible(why)}`}
            </p>
            <p class="command">
              <span class="quiet">at Restate</span> <code>restate invocations resume {visible(id)}</code>{' '}
              <span class="quiet">or cancel</span>
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Hosts({ hosts, search }: { readonly hosts: readonly FleetHost[]; readonly search: string }) {
  const words = search
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '');
  const found = hosts.flatMap(each => {
    const guests = guestsOf(each).filter(guest => {
      const told = [each.host, guest.vm, ...guest.sagas.flatMap(saga => [saga.operation, saga.id])];
      return words.every(word => told.join(' ').toLowerCase().includes(word));
    });
    const isNamed = words.every(word => each.host.toLowerCase().includes(word));
    return isNamed || guests.length > 0 ? [{ ...each, guests }] : [];
  });
  if (found.length === 0) return <p class="quiet">None matches.</p>;
  return (
    <div class="hosts">
      {found.map(each => (
        <Host key={each.host} {...each} />
      ))}
    </div>
  );
}

interface Guest {
  readonly vm: string;
  readonly sagas: readonly FleetSaga[];
}

function Host({ host, agent, status, guests }: FleetHost & { readonly guests: readonly Guest[] }) {
  const busy = guests.filter(({ sagas }) => sagas.length > 0);
  const quiet = guests.filter(({ sagas }) => sagas.length === 0);
  return (
    <section class={`host ${status === null ? 'silent' : ''}`} aria-label={`Host ${visible(host)}`}>
      <header class="row">
        <h3>{visible(host)}</h3>
        <span class="quiet mono">{visible(agent)}</span>
      </header>
      {status === null ? (
        <p class="worry">
          Its agent does not answer. Whether its guests run is not known here; what is under way there is
          resumed when its agent is back.
        </p>
      ) : guests.length === 0 ? (
        <p class="quiet">No guests.</p>
      ) : null}
      {busy.length === 0 ? null : (
        <ul class="busy">
          {busy.map(({ vm, sagas }) => (
            <li key={vm}>
              <strong>{visible(vm)}</strong>
              {sagas.map(({ id, operation, state }) => (
                <span class="row" key={id}>
                  <span>
                    {visible(operation)} <span class="quiet mono">{visible(id)}</span>
                  </span>
                  <span class={`label l-${state === NEEDS ? 'needs-recovery' : 'under-way'}`}>
                    {state === NEEDS ? 'needs recovery' : 'under way'}
                  </span>
                </span>
              ))}
            </li>
          ))}
        </ul>
      )}
      {quiet.length === 0 ? null : (
        <ul class="guests" aria-label={`${countOf(quiet.length, 'guest')} with nothing under way`}>
          {quiet.slice(0, DRAWN_MAX).map(({ vm }) => (
            <li key={vm}>{visible(vm)}</li>
          ))}
          {quiet.length > DRAWN_MAX ? <li class="more">and {quiet.length - DRAWN_MAX} more</li> : null}
        </ul>
      )}
    </section>
  );
}

/** Each guest with what is under way on it; a saga of a guest that is not there any more still shows. */
function guestsOf({ status }: FleetHost): readonly Guest[] {
  const sagas = new Map<string, FleetSaga[]>((status?.guests ?? []).map(({ vm }) => [vm, []]));
  for (const saga of status?.sagas ?? []) sagas.set(saga.vm, [...(sagas.get(saga.vm) ?? []), saga]);
  return [...sagas].map(([vm, own]) => ({ vm, sagas: own }));
}
