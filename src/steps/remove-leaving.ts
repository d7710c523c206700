/**
 * Removes the files that have left the disks' chains, where the request asks for it: after the decision, when their nodes
 * are closed. A file that QEMU still has open for somebody stays, and so does one that is no longer the one that was
 * found when the step began.
 */
import type { Json } from '../qmp/transport.ts';
import { leavingImages } from './chain-of-image.ts';
import type { Files } from './files.ts';
import { openFiles } from './graph.ts';
import type { Plan } from './plan.ts';
import { probeDisks, type Step } from './step.ts';

/** A file that may go, and the identity under which it was found. */
interface Leaving {
  readonly [key: string]: Json;
  readonly file: string;
  readonly identity: string;
}

export const removeLeaving: Step = {
  name: 'removeLeaving',
  irreversible: 'asked for, and only after the decision',

  async observe({ files, qmp, plan }) {
    if (files === null) return [];
    const open = await openFiles(qmp);
    const found: Leaving[] = [];
    for (const file of leavingFiles(plan)) {
      const facts = open.has(file) ? undefined : await files.stat(file);
      if (facts?.kind === 'file') found.push({ file, identity: facts.identity });
    }
    return found;
  },

  async probe({ files, plan, observed }) {
    const left = new Set<string>();
    for (const { file, identity } of observed as readonly Leaving[]) {
      if ((await files?.stat(file))?.identity === identity) left.add(file);
    }
    return probeDisks(plan.disks, disk =>
      leavingImages(disk).some(image => left.has(image.file)) ? 'absent' : 'present',
    );
  },

  async do({ files, plan, observed }) {
    const going = observed as readonly Leaving[];
    for (const { file, identity } of going) await remove(files, file, identity);
    const gone = new Set(going.map(({ file }) => file));
    return { kept: leavingFiles(plan).filter(file => !gone.has(file)) };
  },
};

async function remove(files: Files | null, file: string, identity: string): Promise<void> {
  await files?.unlink(file, identity);
  await files?.syncDirectory(file);
}

function leavingFiles({ disks }: Plan): readonly string[] {
  return [...new Set(disks.flatMap(disk => leavingImages(disk).map(image => image.file)))];
}
