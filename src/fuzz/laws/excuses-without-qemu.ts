/**
 * What the laws do not blame a saga for that ends without its QEMU: fault, law, and the reason. A row is as narrow as it can be said.
 * Judges nothing by itself.
 */
import type { Account, Struck } from '../account/account.ts';
import { areBothKeptOffline } from './both-sides.ts';
import { isBootedUnproved, wasOpenedUnproved } from './elsewhere-law.ts';
import type { ByFault } from './excuse.ts';
import { isMovedAndKept, isPowerCut, isTheirLoss, wasSetAcrossAndKept } from './excuse-conditions.ts';
import { isBootedWhereKilled } from './killed-elsewhere.ts';

export const WITHOUT_QEMU: readonly ByFault[] = [
  {
    ...{ law: 'no newer image is given up', fault: 'otherClient qom-set' },
    reason:
      'a disk that was moved to an image of another disk is on no side of its own: what its guest wrote there is kept in that, which is named',
    only: (struck: Struck, account: Account) => wasSetAcrossAndKept(struck, account),
  },
  ...(['qom-set', 'blockdev-reopen', 'blockdev-snapshot'] as const).map(verb => ({
    ...{ law: 'the stuck end offline', fault: `otherClient ${verb}` },
    reason:
      'a recovery names one side for all disks: what the guest wrote to an image that it was moved to is kept in that, which is named',
    only: isMovedAndKept,
  })),
  {
    ...{ law: 'the dead leave one set', fault: 'otherClient qom-set' },
    reason:
      'a guest that was moved to an image which hides what it had written, and was killed there before any look, boots from that, or it is named: the rest is in the image that it has left',
    only: isBootedWhereKilled,
  },
  {
    ...{ law: 'the stuck end offline', fault: 'otherClient cont' },
    reason:
      'of a guest that third parties had run on both sides a recovery boots the one that is said, and keeps the other, which is named',
    only: (_struck: Struck, account: Account) => areBothKeptOffline(account, account.shutDown),
  },
  {
    ...{ law: 'the dead leave one set', fault: 'otherClient cont' },
    reason:
      'of a guest that third parties had run on both sides before QEMU died a recovery boots the one that is said, and keeps the other, which is named',
    only: (_struck: Struck, account: Account) => areBothKeptOffline(account, account.offline),
  },
  {
    ...{ law: 'only what is ours', fault: 'kill' },
    reason: 'a power cut may take what the other one had not flushed',
    only: isPowerCut,
  },
  ...(['the dead leave one set', 'no newer image is given up'] as const).map(law => ({
    ...{ law, fault: 'file' },
    reason:
      'what a third party puts under the name of an image is not told from that by who sees no file of QEMU’s, nor what was put there before the request where no /proc tells: the recovery says which it could not prove',
    only: (struck: Struck, account: Account) =>
      isBootedUnproved(struck, account) || wasOpenedUnproved(struck, account),
  })),
  {
    ...{ law: 'the dead leave one set', fault: 'kill' },
    reason:
      'the power failed before a third party’s overlay was on the host’s disk for good: the recovery names it, and it is in no other record',
    only: isTheirLoss,
  },
];
