/**
 * Plays rows on a real QEMU: those that only refuse share one guest, since a refusal must leave everything as it was;
 * every other row has a guest of its own.
 */
import { judge, type Played, stageOf, whyOf } from './play-row.ts';
import { onReal } from './real-stage.ts';
import type { Row } from './row.ts';

/** Rows that can be played on one guest, one after the other. */
interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
}

const TITLE_MAX = 6;

/** The rows that a real QEMU can show, in groups. */
export function groupsOf(rows: readonly Row[]): readonly Group[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    if (row.call === undefined || row.notReal !== undefined) continue;
    const shares = row.expect.error !== undefined && row.before === undefined;
    const key = shares ? JSON.stringify([stageOf(row), Object.keys(row.domain ?? {})]) : row.id;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map(group => ({ title: titleOf(group), rows: group }));
}

/** Plays a group; a row that fails does not keep the others from being played. */
export async function playOnReal(rows: readonly Row[]): Promise<readonly Played[]> {
  const [first] = rows;
  if (first === undefined) return [];
  return onReal(stageOf(first), async stage => {
    const played: Played[] = [];
    for (const row of rows) {
      const verdict = await judge(row, stage, rows.length === 1).catch((error: unknown) => ({
        verdict: 'failed' as const,
        why: whyOf(error),
      }));
      played.push({ row, verdict });
    }
    return played;
  });
}

function titleOf(rows: readonly Row[]): string {
  const [first] = rows;
  if (rows.length === 1 && first !== undefined) return `${first.id}: ${first.says}`;
  const ids = rows.map(({ id }) => id);
  const rest = ids.length > TITLE_MAX ? ` and ${ids.length - TITLE_MAX} more` : '';
  return `refused without a trace: ${ids.slice(0, TITLE_MAX).join(', ')}${rest}`;
}
