/** The whole page: the list of sagas, and the one that is shown. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { FleetTold } from '../src/inspect/fleet-told.ts';
import type { JobsSeen } from '../src/inspect/jobs-seen.ts';
import type { Listed } from '../src/inspect/listed-saga.ts';
import type { Trouble } from '../src/inspect/trouble.ts';
import { visible } from '../src/railway/words.ts';
import type { Story } from '../src/story/story.ts';
import { Charts } from './charts.tsx';
import { Doctor } from './doctor.tsx';
import { FleetView } from './fleet.tsx';
import { Lab } from './lab.tsx';
import { isRefused, type LabOffers, labOffers, listen } from './live.ts';
import { linkTo, type Shown, useShown } from './place.ts';
import { remembered } from './progress.ts';
import { SagaList } from './saga-list.tsx';
import { StoryView } from './story-view.tsx';

interface AppProps {
  readonly saved: Story | null;
  /** What went over the monitor, where it was saved too. */
  readonly wire: readonly string[] | null;
}

export function App({ saved, wire }: AppProps) {
  return saved === null ? <Served /> : <Saved story={saved} wire={wire} />;
}

/** Where the address says so, the page is an inspector, or shows a fleet; no saga's id is written like that. */
const CHARTS = '#/charts';
const FLEET = '#/fleet';

function Served() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return hash === CHARTS ? <Charts /> : <Journal isFleet={hash === FLEET} />;
}

/** The server shows a journal, and perhaps a fleet, or has a laboratory. */
function Journal({ isFleet }: { readonly isFleet: boolean }) {
  const [offers, setOffers] = useState<LabOffers | null | undefined>(undefined);
  useEffect(() => void labOffers().then(setOffers), []);
  if (offers === undefined) return null;
  return offers === null ? <Live isFleet={isFleet} /> : <Lab {...offers} />;
}

function Saved({ story, wire }: { readonly story: Story; readonly wire: readonly string[] | null }) {
  const [shown, go] = useShown();
  return (
    <div class="alone">
      <StoryView
        story={story}
        atMs={shown.atMs}
        go={atMs => go({ saga: story.saga, of: null, atMs }, true)}
        of={null}
        isLive={false}
        wire={wire}
      />
    </div>
  );
}

/** Beside the fleet no saga is shown. */
const NOTHING: Shown = { saga: null, of: null, atMs: null };

function Live({ isFleet }: { readonly isFleet: boolean }) {
  const [place, go] = useShown();
  const shown = isFleet ? NOTHING : place;
  const [fleet, setFleet] = useState<FleetTold | null>(null);
  const [sagas, setSagas] = useState<readonly Listed[] | null>(null);
  const [older, setOlder] = useState(0);
  const [isMore, setMore] = useState(false);
  const [story, setStory] = useState<{ readonly told: Story; readonly of: string | null } | null>(null);
  const [unread, setUnread] = useState<readonly Trouble[]>([]);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [looks, setLooks] = useState<readonly JobsSeen[]>([]);
  const [isUp, setUp] = useState(true);
  useEffect(() => {
    setTrouble(null);
    return listen(shown, older, {
      more: setMore,
      list: told => (isRefused(told) ? setTrouble(told.refused.message) : setSagas(told)),
      story: told => {
        if (isRefused(told)) setTrouble(told.refused.message);
        else setStory({ told, of: shown.of });
      },
      troubles: setUnread,
      fleet: setFleet,
      jobs: seen => setLooks(before => remembered(before, seen)),
      line: setUp,
    });
  }, [shown.saga, shown.of, older]);
  const unasked = looks.at(-1)?.trouble ?? null;
  const current = story !== null && story.told.saga === shown.saga && story.of === shown.of ? story : null;
  // What the slider moves is not in the list: the same elements are drawn no second time.
  const list = useMemo(
    () => (
      <SagaList
        sagas={sagas}
        shown={{ saga: shown.saga, of: shown.of }}
        choose={chosen => {
          // The fleet's own address is left by the browser, which tells of it.
          if (isFleet) location.hash = chosen.saga === null ? '' : linkTo({ ...chosen, saga: chosen.saga });
          else go({ ...chosen, atMs: null });
        }}
        showOlder={isMore ? () => setOlder(older + 1) : null}
        fleet={fleet === null ? null : { told: fleet, isShown: isFleet }}
      />
    ),
    [sagas, shown.saga, shown.of, isMore, older, fleet, isFleet],
  );
  return (
    <div class="page" data-shown={isFleet ? 'fleet' : shown.saga === null ? 'list' : 'saga'}>
      {list}
      <div class="shown">
        {isUp ? null : (
          <p class="notice" role="alert">
            The line to blocksaga is broken. What you see may be old.
          </p>
        )}
        {trouble === null ? null : (
          <p class="notice" role="alert">
            {visible(trouble)}
          </p>
        )}
        {unread.map(({ of, message }) => (
          <p class="notice" role="alert" key={of}>
            The sagas of {visible(of ?? '')} are not shown: {visible(message)}
          </p>
        ))}
        {unasked === null ? null : (
          <p class="notice">QEMU cannot be asked how far it is: {visible(unasked)}</p>
        )}
        {isFleet ? (
          <FleetView told={fleet} />
        ) : current !== null ? (
          <StoryView
            key={`${current.of ?? ''}/${current.told.saga}`}
            story={current.told}
            of={current.of}
            looks={looks}
            atMs={shown.atMs}
            go={atMs => go({ ...shown, atMs }, true)}
            isLive={true}
          />
        ) : shown.saga === null ? (
          <Welcome sagas={sagas} />
        ) : null}
      </div>
    </div>
  );
}

function Welcome({ sagas }: { readonly sagas: readonly Listed[] | null }) {
  if (sagas === null) return <p class="quiet">Reading the journal …</p>;
  if (sagas.length === 0) return <p class="quiet">No sagas yet. The next one appears here by itself.</p>;
  const needs = sagas.filter(saga => saga.needs).length;
  return (
    <>
      <p class="quiet">
        {needs === 0
          ? 'No saga needs you.'
          : `${needs} ${needs === 1 ? 'saga needs' : 'sagas need'} you: on top of the list, with the command to type.`}
      </p>
      <Doctor />
    </>
  );
}
