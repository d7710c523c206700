/** What may be said of an offline recovery, looked at before anything else is: half of it are promises. It knows no saga. */
import { invalidIn } from '../../errors.ts';
import { expectSwitches, expectWord } from '../connection/option-words.ts';
import { FRONTS, type Fronts } from './offline-choices.ts';

interface Said {
  readonly qemu?: string;
  readonly front?: Fronts;
  readonly back?: boolean;
  readonly force?: boolean;
  readonly acceptRestored?: boolean;
}

/** Throws REQUEST_INVALID. */
export function expectOffline(options: Said): void {
  expectWord('qemu', ['dead'], options.qemu);
  expectSwitches(options, 'back', 'force', 'acceptRestored');
  if (options.front !== undefined) expectFronts(options.front);
}

function expectFronts(front: Fronts): void {
  const isFront = (word: unknown) => FRONTS.some(known => known === word);
  if (isFront(front)) return;
  const each = typeof front === 'object' && front !== null ? Object.entries(front) : [];
  const [wrong] = each.find(([, word]) => !isFront(word)) ?? [];
  if (each.length > 0 && wrong === undefined) return;
  const words = `one of ${FRONTS.join(', ')}`;
  if (wrong === undefined) throw invalidIn(['front'], `${words}, or one of them for each disk`);
  throw invalidIn(['front', wrong], words);
}
