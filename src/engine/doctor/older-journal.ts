/** What the doctor says of a journal that is an older copy: it tells of it, and removes nothing on its word. */
import type { Journal } from '../../journal/journal.ts';
import type { Removable } from './finding.ts';

/** The findings with that one in front, none of them removable any more; as they are for the newest journal. */
export function ofOlderJournal(
  journal: Journal,
  findings: readonly Removable[],
  acceptRestored: boolean,
): readonly Removable[] {
  const standing = journal.standing?.();
  if (standing?.is !== 'older' || acceptRestored) return findings;
  const { generation, written } = standing;
  const why =
    `it is an older copy: it has counted ${generation} writes, and ${written} are counted beside it. What became of its sagas since may be ` +
    'missing, so nothing is removed on its word. Put the newer one back, with its -wal; where that is lost, look at each find yourself, and ' +
    'say --fix --accept-restored to have removed what this copy says may go';
  return [
    { kind: 'journal', name: 'journal', saga: null, why, removable: false, remove: undefined },
    ...findings.map(finding => ({ ...finding, removable: false, remove: undefined })),
  ];
}
