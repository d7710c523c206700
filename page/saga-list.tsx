/** The list of sagas: those that need a person on top, with the command to type. */
import { useState } from 'preact/hooks';
import type { FleetTold } from '../src/inspect/fleet-told.ts';
import type { Listed } from '../src/inspect/listed-saga.ts';
import { countOf, dateInWords, visible } from '../src/railway/words.ts';
import { countsOf } from './fleet.tsx';
import { linkTo } from './place.ts';

/** As many as are drawn at once; the search finds the others. */
const DRAWN_MAX = 120;

interface Props {
  readonly sagas: readonly Listed[] | null;
  readonly shown: { readonly saga: string | null; readonly of: string | null };
  readonly choose: (saga: { readonly saga: string | null; readonly of: string | null }) => void;
  /** Lists older ones too; null where there are none. */
  readonly showOlder: (() => void) | null;
  /** Null where the page has none. */
  readonly fleet: { readonly told: FleetTold; readonly isShown: boolean } | null;
}

export function SagaList({ sagas, shown, choose, showOlder, fleet }: Props) {
  const [search, setSearch] = useState('');
  const found = (sagas ?? []).filter(saga => matches(saga, search));
  return (
    <nav class="list" aria-label="Sagas">
      <header>
        <h1>
          <button type="button" onClick={() => choose({ saga: null, of: null })}>
            blocksaga
          </button>
        </h1>
        {fleet === null ? null : <ToFleet {...fleet} />}
        <input
          type="search"
          aria-label="Search sagas by VM, operation, outcome or id"
          placeholder="VM, operation, outcome, id"
          value={search}
          onInput={event => setSearch(event.currentTarget.value)}
        />
        <p class="quiet order">Those that need you first, then the newest</p>
      </header>
      <ul>
        {found.slice(0, DRAWN_MAX).map(saga => (
          <li key={`${saga.of ?? ''}/${saga.saga}`}>
            <a
              href={linkTo(saga)}
              aria-current={saga.saga === shown.saga && saga.of === shown.of ? 'true' : undefined}
              class={saga.needs ? 'needs' : ''}
              onClick={event => {
                event.preventDefault();
                choose({ saga: saga.saga, of: saga.of });
              }}
            >
              <span class="row">
                <span class="whose">
                  <strong>{visible(saga.vm)}</strong>
                  {saga.of === null ? null : <span class="of">{visible(saga.of)}</span>}
                </span>
                <span class={`label l-${saga.label.replace(' ', '-')}`}>{saga.label}</span>
              </span>
              <span class="row quiet">
                <span>
                  {saga.operation}
                  {saga.disks === 0 ? '' : ` of ${countOf(saga.disks, 'disk')}`}
                </span>
                <time>{dateInWords(saga.createdAtMs).replace(' UTC', '')}</time>
              </span>
              {saga.command === null ? null : (
                <>
                  {saga.purpose === null ? null : <span class="purpose">{visible(saga.purpose)}</span>}
                  <code class={saga.label === 'waits' ? 'calm' : ''}>{visible(saga.command)}</code>
                  {saga.others === 0 ? null : (
                    <span class="purpose">
                      or {saga.others === 1 ? 'another way' : `${saga.others} other ways`}: open it
                    </span>
                  )}
                </>
              )}
            </a>
          </li>
        ))}
      </ul>
      {found.length > DRAWN_MAX ? (
        <p class="quiet">and {found.length - DRAWN_MAX} more: search for them</p>
      ) : null}
      {showOlder === null ? null : (
        <button type="button" class="older" onClick={showOlder}>
          Older sagas
        </button>
      )}
      <p class="quiet to-charts">
        <a href="#/charts">Charts of inspectors</a>
      </p>
      {sagas !== null && found.length === 0 && sagas.length > 0 ? <p class="quiet">None matches.</p> : null}
    </nav>
  );
}

function ToFleet({ told, isShown }: NonNullable<Props['fleet']>) {
  const { hosts, silent, ...counts } = countsOf(told);
  const needs = counts.needs + counts.stuck;
  const worries = [
    ...(needs > 0 ? [`${needs} ${needs === 1 ? 'needs' : 'need'} you`] : []),
    ...(silent > 0 ? [`${silent} silent`] : []),
  ];
  return (
    <a class="to-fleet" href="#/fleet" aria-current={isShown ? 'page' : undefined}>
      <strong>Fleet</strong>{' '}
      <span class={worries.length === 0 ? 'quiet' : 'worry'}>
        {told.hosts === null ? '…' : worries.length === 0 ? countOf(hosts, 'host') : worries.join(', ')}
      </span>
    </a>
  );
}

function matches({ vm, operation, label, saga, of }: Listed, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/);
  const told = `${vm} ${operation} ${label} ${saga} ${of ?? ''}`.toLowerCase();
  return words.every(word => told.includes(word));
}
