/** What the QEMU of a test has, for tests that are about what only some versions have. It only asks. */
import type { Stage } from './witnessed.ts';

/** Why a test of `reopen` is skipped on this QEMU; '' where it runs. */
export async function withoutReopen({ vm }: Pick<Stage, 'vm'>): Promise<string> {
  const commands = (await vm.witness.execute('query-commands')) as readonly { readonly name: string }[];
  return commands.some(({ name }) => name === 'blockdev-reopen')
    ? ''
    : 'this QEMU has no blockdev-reopen (6.1)';
}
