/** What another client may do at any moment: it ends the job of a disk. */
import type { GuestVm } from '../../src/demo/guest-vm.ts';

/** By the disk's index, also where a job has the name of its drive. Throws where there is none: the test would show nothing then. */
export async function cancelJobOf({ vm }: { readonly vm: GuestVm }, index: number): Promise<string> {
  const jobs = (await vm.witness.execute('query-jobs')) as readonly { readonly id: string }[];
  const job = jobs.find(({ id }) => id.endsWith(`-${index}-job`) || id === `drive${index}`);
  if (job === undefined) throw new Error(`no job of disk ${index} among ${JSON.stringify(jobs)}`);
  await vm.witness.execute('job-cancel', { id: job.id });
  return job.id;
}
