/** Which saga and which moment of it is shown, as the address says it: `#4kq2p9v1x0c7m` or `#4kq2p9v1x0c7m@1795939118521`. */
import { useEffect, useState } from 'preact/hooks';

export interface Shown {
  readonly saga: string | null;
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

function read(hash: string): Shown {
  const [saga = '', at] = decodeURIComponent(hash.slice(1)).split('@');
  const atMs = Number(at);
  return { saga: saga === '' ? null : saga, atMs: at === undefined || !Number.isFinite(atMs) ? null : atMs };
}

function write({ saga, atMs }: Shown): string {
  const moment = atMs === null ? '' : `@${Math.round(atMs)}`;
  return `#${encodeURIComponent(saga ?? '')}${moment}`;
}
