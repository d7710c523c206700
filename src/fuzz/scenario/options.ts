/** What a request, a guest or a run may have, and may be drawn without. */

export const OPTIONS = [
  ...['base', 'bandwidth', 'bitmaps', 'deaths', 'delete', 'finish', 'iothreads', 'lack', 'offlineDeath'],
  ...['ownChains', 'pace', 'paused', 'publisher', 'quiesce', 'raw', 'reuse', 'shallow', 'shortBlackout'],
  ...['signals', 'squatter', 'strategy', 'syncWrites', 'turn', 'elsewhere', 'proc', 'restored', 'filters'],
] as const;

export type Option = (typeof OPTIONS)[number];
