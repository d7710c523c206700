/**
 * Which saga and which moment of it is shown, as the address says it: `#4kq2p9v1x0c7m`, `#4kq2p9v1x0c7m@1795939118521`, and, where the
 * page shows several journals, `#NAME/4kq2p9v1x0c7m`.
 */
import { useEffect, useState } from 'preact/hooks';

/** A saga, and the name of its journal; null where the page shows one. */
export interface SagaAt {
  readonly saga: string;
  readonly of: string | null;
}

export interface Shown {
  readonly saga: string | null;
  readonly of: string | null;
  /** Null for its latest. */
  readonly atMs: number | null;
}

export function useShown(): [Shown, (shown: Shown, replace?: boolean) => void] {
  const [shown, setShown] = useState(() => read(location.hash));
  useEffect(() => {
    const changed = () => setShown(read(location.hash));
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  const go = (next: Shown, replace = false) => {
    if (replace) history.replaceState(null, '', write(next));
    else history.pushState(null, '', write(next));
    setShown(next);
  };
  return [shown, go];
}

/** The address of a saga on this page. */
export function linkTo({ saga, of }: SagaAt): string {
  return write({ saga, of, atMs: null });
}

/** What the server is asked of a saga. */
export function pathOf(
  what: string,
  { saga, of }: SagaAt,
  query: Readonly<Record<string, string>> = {},
): string {
  const asked = new URLSearchParams({ ...query, ...(of === null ? {} : { of }) }).toString();
  return `${what}/${encodeURIComponent(saga)}${asked === '' ? '' : `?${asked}`}`;
}

function read(hash: string): Shown {
  const [place = '', at] = hash.slice(1).split('@');
  const parts = place.split('/').map(decoded);
  const [of, saga] = parts.length > 1 ? [parts[0] ?? '', parts[1] ?? ''] : [null, parts[0] ?? ''];
  const atMs = Number(at);
  return {
    saga: saga === '' ? null : saga,
    of,
    atMs: at === undefined || !Number.isFinite(atMs) ? null : atMs,
  };
}

/** An address that was cut off names no saga, and breaks nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function write({ saga, of, atMs }: Shown): string {
  const moment = atMs === null ? '' : `@${Math.round(atMs)}`;
  const journal = of === null || saga === null ? '' : `${encodeURIComponent(of)}/`;
  return `#${journal}${encodeURIComponent(saga ?? '')}${moment}`;
}
