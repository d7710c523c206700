/** What `blocksaga resume --help` says below the options, by what has died. */
import { SAGA_JSON_HELP } from '../options/shared-options.ts';

export const RESUME_HELP = `
The process died
  A rollback that has begun is continued. Every other saga continues forward, and rolls back only where a step fails before
  the decision. One that waits at READY (copy --finish leave) waits again: "blocksaga pivot" switches it. The journal knows
  the monitor's address.

The process is stopped or hangs
  A saga whose process is alive is left to it. --force takes the saga from it: the process cannot act on the saga any more,
  and gives up when it wakes up. While it holds the monitor, name another one with --qmp.

QEMU or the host died: --offline
  It decides from the journal which images are the right ones, for all disks alike, makes that true with qemu-img, and says
  which images to boot from ("boot" in the result). It is refused while the saga's QEMU lives, and while any program writes
  to an image that is not the right one. A commit --offline is resumed here too; its guest must not run. Running it again
  changes nothing.
  Overlays of a snapshot that was under way and that cannot be read are made anew: they never held a flushed write. With
  --back a snapshot is rolled back: what its overlays hold goes into the images below them.

QEMU died, and journal and images disagree: --front, --ran-on
  Before anything is removed the images are read. An image that would be left behind, was written to last, and holds what
  the one to boot from does not, means that the journal is an older copy, or that a third party has switched a disk. That is
  refused, with both stories. Find out on which images the guest ran last, and say so: --front old, --front new, or, of a
  snapshot with mirrors, --front snapshot for its overlays; where disks differ, --front disk0=new,disk1=old. Images that are
  not taken are kept.
  Overlays of others above these images are looked for in their directories: what a guest wrote on such a one is nowhere
  else. One that holds something is asked about: --ran-on OVERLAY boots from it, --not-on OVERLAY leaves it alone (a
  backup's scratch image).

QEMU died, and another file has the name of an image: --accept-image
  The files under the names of these images have to be those that the saga knew there. Another one, or none, is refused
  before anything is changed: put the right file back. With --front this goes for the images of both sides, since another
  file does not tell where the guest ran. --accept-image FILE promises that what is there now is right: the right image all
  the same (a copy from a backup), no file, since the saga had not made it yet or has removed it, a file that an older
  journal cannot prove to be the saga's, or that a snapshot's new overlay is lost for good and an empty one is to be made.

The journal is an older copy: --accept-restored
  A journal counts its writes, and JOURNAL.generation beside it counts them too. One that was put back from a backup has
  counted fewer: that is refused before anything is done, for it may lack what became of the saga. Put the newer one back,
  with its -wal. Where that is lost, --accept-restored promises that nothing was done to this saga after that copy was made;
  with --offline, --front says it too.

Groups
  The id of a group resumes all of its members: forward when the group had committed, else back.
  Where a group has guests on other hosts, the journal of the leading host alone has the decision. A host in doubt waits for
  it. Where that journal is lost for good, --leader-lost decides here, is written into this journal, and promises two
  things: no process will ever use the leader's journal again, and every other host of the group has gone the same way, or
  is told the same word. Ask the others first ("blocksaga show GROUP" there): if one is committed, say commit; if one is
  rolled back, roll-back; if all are in doubt, either, but the same everywhere. A promise that is not true leaves guests of
  one group on two sides. No write of a guest is lost either way: commit stays on the overlays, roll-back brings what they
  hold into the images below; of a group of clones commit keeps the copies, and roll-back removes them. End this host's
  agent before, and start it again afterwards.

Examples:
  $ blocksaga resume 4kq2p9v1x0c7m
  $ blocksaga resume --all --json
  $ blocksaga resume --offline 4kq2p9v1x0c7m
  $ blocksaga resume --offline 4kq2p9v1x0c7m --front new
  $ blocksaga resume --offline 4kq2p9v1x0c7m --front disk0=new,disk1=old
  $ blocksaga resume --offline 4kq2p9v1x0c7m --ran-on /images/theirs.qcow2
  $ blocksaga resume --offline 4kq2p9v1x0c7m --accept-image /images/disk0.qcow2
  $ blocksaga resume nightly-2026-11-29
  $ blocksaga resume nightly-2026-11-29 --leader-lost commit
${SAGA_JSON_HELP}

With --all every open saga whose process has ended is resumed, one after the other, each with its own lines, and
the exit status is that of the worst: 70 before 3 before 2 before 1 before 4.

Exit status: 0 committed, or waiting at READY, 1 rolled back (no disk has changed), 2 refused before anything was touched,
3 needs recovery still, such as when its QEMU is gone, 4 committed, but files that were to be removed are still there, or
the next boot would not find an image.`;
