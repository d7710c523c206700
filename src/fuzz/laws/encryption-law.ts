/** The law about encrypted disks: what they hold is written to no image in the clear. */
import type { Sight } from '../account/sight.ts';
import { isTheirs, mirrorFile, newFile } from '../scenario/wish-files.ts';
import type { EndCheck } from './each-end.ts';

/** At any end, all that the saga made for the disks of a guest that is encrypted, and what each of them is on, is encrypted too. */
export const staysEncrypted: EndCheck = ({ account, now }) => {
  const { guest, wish } = account.scenario;
  if (!guest.encrypted) return undefined;
  const theirs = new Set([...account.squatted, ...account.moved.map(({ path }) => path)]);
  const made = wish.named.flatMap(index => [newFile(wish, index), mirrorFile(index)]);
  const fronts = now.disks.flatMap(({ left, path }) => (left === undefined ? [path] : []));
  const clear = [...made, ...fronts].find(
    file => isInTheClear(now, file) && !theirs.has(file) && !isTheirs(file),
  );
  return clear === undefined ? undefined : `${clear} is in the clear`;
};

/** A file that was just made is no image yet. */
function isInTheClear({ encrypted, files, formats }: Sight, file: string): boolean {
  const format = formats.get(file);
  const isImage = format !== undefined && (format !== 'raw' || (files.get(file)?.length ?? 0) > 0);
  return isImage && !encrypted.has(file);
}
