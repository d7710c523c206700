/** What the doctor says of a journal that is an older copy: it tells of it, and removes nothing on its word. */
import type { Journal } from '../../journal/journal.ts';
import { isCountName, tokenOf } from '../../plan/names.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { toldMore } from '../recovery/further-in-qemu.ts';
import { recordsIn } from './damaged-sagas.ts';
import type { Removable } from './finding.ts';

/** The findings with that one in front, none of them removable any more; as they are for the newest journal. */
export async function ofOlderJournal(
  journal: Journal,
  findings: readonly Removable[],
  { acceptRestored, qmp }: { readonly acceptRestored: boolean; readonly qmp: QmpClient | undefined },
): Promise<readonly Removable[]> {
  const why = (qmp && (await toldInQemu(journal, qmp))) ?? (acceptRestored ? undefined : counted(journal));
  if (why === undefined) return findings;
  return [
    { kind: 'journal', name: 'journal', saga: null, why, removable: false, remove: undefined },
    ...findings.map(finding => ({ ...finding, removable: false, remove: undefined })),
  ];
}

const MAY_LACK =
  'What became of its sagas since may be missing, so nothing is removed on its word. Put the newer one back, with its -wal';

function counted(journal: Journal): string | undefined {
  const standing = journal.standing?.();
  if (standing?.is !== 'older') return undefined;
  const { generation, written } = standing;
  return (
    `it is an older copy: it has counted ${generation} writes, and ${written} are counted beside it. ${MAY_LACK}; where that is lost, look ` +
    'at each find yourself, and say --fix --accept-restored to have removed what this copy says may go'
  );
}

/** Of a saga that this QEMU was told more of than the journal knows. */
async function toldInQemu(journal: Journal, qmp: QmpClient): Promise<string | undefined> {
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  for (const { name } of objects.filter(object => isCountName(object.name))) {
    const token = tokenOf(name);
    const [row] = token === undefined ? [] : journal.sagas({ token });
    // A saga that cannot be read is told of by itself.
    if (token === undefined || row === undefined || !Array.isArray(recordsIn(journal, row.id))) continue;
    const records = () => {
      const read = recordsIn(journal, row.id);
      return Array.isArray(read) ? read : [];
    };
    const more = await toldMore(qmp, token, records);
    if (more !== undefined)
      return `it is an older copy: QEMU is further in saga ${row.id}: ${more}. ${MAY_LACK}; where that is lost, look at each find yourself`;
  }
  return undefined;
}
