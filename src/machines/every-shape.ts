/**
 * All shapes of a chart, for those who count which states and edges of all charts are reached. What no QEMU leads to is left
 * out: `reopen` needs one that can be marked, and one that opens the new images by itself has no jobs to hold in PENDING.
 */
import type { ChartName, Shape } from './shape.ts';

const EITHER = [true, false] as const;
const MARKED = EITHER.flatMap(marksQemu => EITHER.map(publishes => ({ marksQemu, publishes })));

const NO_FILTERS = { filtersLive: false, filtersInPause: false } as const;
/** Each disk has a filter before the pause, of the saga's or of its own, or gets it in the pause. */
const STRATEGIES = [
  ...EITHER.flatMap(filtersLive =>
    EITHER.map(filtersInPause => ({ strategy: 'reopen' as const, filtersLive, filtersInPause })),
  ),
  { strategy: 'finalize' as const, ...NO_FILTERS },
  { strategy: 'complete' as const, ...NO_FILTERS },
];
const ENDS = (['pivot', 'leave'] as const).flatMap(finish =>
  STRATEGIES.map(strategy => ({ finish, ...strategy })),
);
const NO_SWITCH = (['clone', 'abort'] as const).map(finish => ({ finish, strategy: null, ...NO_FILTERS }));

const EVERY: Readonly<Record<ChartName, () => readonly Shape[]>> = {
  snapshot: () =>
    (['transaction', 'transactionSync', 'sequential'] as const).flatMap(method =>
      over(MARKED, EITHER, (common, quiesces) => ({ ...common, quiesces })).flatMap(shape =>
        EITHER.map(inGroup => ({ chart: 'snapshot' as const, ...shape, method, inGroup })),
      ),
    ),
  copy: () =>
    [...ENDS, ...NO_SWITCH].flatMap(end =>
      over(MARKED, EITHER, (common, iothreads) => ({ ...common, ...end, iothreads })).flatMap(shape =>
        [
          { qemuOpensTargets: false, streamsIntoTargets: false },
          { qemuOpensTargets: false, streamsIntoTargets: true },
          { qemuOpensTargets: true, streamsIntoTargets: false },
        ].flatMap(made => MEETS.map(met => ({ chart: 'copy' as const, ...shape, ...made, ...met }))),
      ),
    ),
  commit: () =>
    [...ENDS, ...NO_SWITCH.filter(({ finish }) => finish === 'abort')].flatMap(end =>
      over(MARKED, EITHER, (common, iothreads) => ({ ...common, ...end, iothreads })).flatMap(shape =>
        EITHER.map(deletes => ({ chart: 'commit' as const, ...shape, deletes })),
      ),
    ),
  rewrite: () =>
    over(MARKED, EITHER, (common, deletes) => ({ ...common, deletes })).flatMap(shape =>
      over(EITHER, EITHER, (manualFinalize, severalDisks) => ({
        ...{ chart: 'rewrite' as const, ...shape, manualFinalize, severalDisks },
      })),
    ),
  revert: () =>
    over(MARKED, EITHER, (common, deletes) => ({ ...common, deletes })).flatMap(shape =>
      (['reopen', 'rebase'] as const).map(strategy => ({ chart: 'revert' as const, ...shape, strategy })),
    ),
  snapshotMirror: () =>
    over(MARKED, EITHER, (common, quiesces) => ({ ...common, quiesces })).flatMap(shape =>
      over(EITHER, WAYS, (iothreads, way) => ({
        ...{ chart: 'snapshotMirror' as const, ...shape, iothreads, ...way },
      })),
    ),
};

/** How the overlays of a snapshot with mirrors are put on, and how their mirrors are switched to. */
const WAYS = STRATEGIES.flatMap(way => [
  { method: 'transaction' as const, qemuOpensTargets: false, ...way },
  { method: 'transactionSync' as const, qemuOpensTargets: way.strategy === 'complete', ...way },
]);

/** A clone may freeze its guest, or be of one instant with others. */
const MEETS = [
  { quiesces: false, inGroup: false },
  { quiesces: true, inGroup: false },
  { quiesces: false, inGroup: true },
];

export function everyShape(chart: ChartName): readonly Shape[] {
  return EVERY[chart]().filter(isMade);
}

function isMade(shape: Shape): boolean {
  if (shape.chart === 'snapshot' && shape.inGroup) return shape.method !== 'sequential' && !shape.quiesces;
  if (shape.chart === 'copy' && (shape.quiesces || shape.inGroup) && shape.finish !== 'clone') return false;
  const opens = 'qemuOpensTargets' in shape && shape.qemuOpensTargets;
  const reopens = shape.chart === 'revert' || ('strategy' in shape && shape.strategy === 'reopen');
  if (reopens && (!shape.marksQemu || opens)) return false;
  if (shape.chart === 'copy' && shape.inGroup && (opens || !shape.marksQemu)) return false;
  return !('strategy' in shape && shape.strategy === 'finalize' && opens);
}

function over<A, B, T>(as: readonly A[], bs: readonly B[], make: (a: A, b: B) => T): readonly T[] {
  return as.flatMap(a => bs.map(b => make(a, b)));
}
