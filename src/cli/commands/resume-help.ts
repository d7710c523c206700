/** What `blocksaga resume --help` says below the options. */
import { SAGA_JSON_HELP } from '../options/shared-options.ts';

export const RESUME_HELP = `
A saga rolls forward when its decision was taken, or when its jobs are still there; otherwise it rolls back. One that
waits at READY (copy --finish leave) waits again: "blocksaga pivot" switches it. The journal knows the monitor's address.

When QEMU or the host died, --offline ends the saga without a QEMU: it decides from the journal which images are the
right ones, for all disks alike, makes that true with qemu-img, and says which images to boot from ("boot" in the
result). It is refused while the saga's QEMU lives, and while any program writes to an image that is not the right one.
A commit without QEMU is resumed here too; its guest must not run.
Overlays of a snapshot that was under way and that cannot be read are made anew: they never held a flushed write. With --back a snapshot
is rolled back instead: what its overlays hold goes into the images below them. Running it again changes nothing.

Before it removes anything it reads the images too. If an image that would be left behind was written to last, and holds
what the one to boot from does not, then the journal is an older copy, or a third party has switched a disk. That is
refused, with both stories. Find out on which images the guest ran last, and say so: --front old, --front new, or, of a snapshot with
mirrors, --front snapshot for its overlays. Where it was on old images of some disks and on new ones of others, say it of each disk:
--front disk0=new,disk1=old. Images that are not taken are kept.
It also looks in the directories of these images for overlays of others above them: what a guest wrote on such a one is nowhere else.
One that holds something is asked about: --ran-on OVERLAY boots from it, --not-on OVERLAY leaves it alone (a backup's scratch image).

The files under the names of these images have to be those that the saga knew there. Another one, or none, is refused before anything is
changed: put the right file back. With --front that goes for the images of both sides, for what another file holds tells nothing of where
the guest ran; an image that the saga had not made yet, or has removed, is accepted as rightly not there, and one that an older journal
cannot prove to be the saga's as that one. Where what stands there is the right image all the same, such as a copy from a backup, or where a
snapshot's new overlay is lost for good and an empty one is to be made, --accept-image FILE promises that; it is repeatable.

A journal counts its writes, and JOURNAL.generation beside it counts them too. One that was put back from a backup has counted fewer:
that is refused before anything is done, for it may lack what became of the saga. Put the newer one back, with its -wal. Where that is
lost, --accept-restored promises that nothing was done to this saga after that copy was made; offline, --front says it too.

The id of a group resumes all of its members: forward when the group had committed, else back.

Where a group has guests on other hosts, the leading host has the decision, and its journal alone. A host in doubt waits for it. Where the
leading host is lost with that journal for good, --leader-lost decides here, is written into this journal, and promises two things: no
process will ever use the leader's journal again, and every other host of the group has gone the same way, or is told the same word. Ask
the others first ("blocksaga show GROUP" there): if one is committed, say commit; if one is rolled back, roll-back; if all are in doubt,
either, but the same everywhere. A promise that is not true leaves guests of one group on two sides. No write of a guest is lost either
way: commit stays on the overlays, roll-back brings what they hold into the images below. End this host's agent before, start it behind.

A saga whose process is alive is left to it. When that process is stopped or hangs, --force takes the saga from it: the
process cannot act on the saga any more, and gives up when it wakes up. While it holds the monitor, name another one with
--qmp.

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
3 needs recovery still, such as when its QEMU is gone, 4 committed, but files that were to be removed are still there.`;
