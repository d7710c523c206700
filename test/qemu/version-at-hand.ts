/** What the QEMU of a test has, for tests that are about what only some versions have. It only asks. */
import type { TestContext } from 'vitest';
import { type Stage, type StageOptions, stage } from './witnessed.ts';

/** Why a test of `reopen` is skipped on this QEMU; '' where it runs. */
export async function withoutReopen({ vm }: Pick<Stage, 'vm'>): Promise<string> {
  const commands = (await vm.witness.execute('query-commands')) as readonly { readonly name: string }[];
  return commands.some(({ name }) => name === 'blockdev-reopen')
    ? ''
    : 'this QEMU has no blockdev-reopen (6.1)';
}

/** A guest on a QEMU that can reopen; the test is skipped where the one at hand cannot. */
export async function stageThatReopens(
  { skip }: Pick<TestContext, 'skip'>,
  options: StageOptions,
): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const on = stack.use(await stage(options));
  const missing = await withoutReopen(on);
  skip(missing !== '', missing);
  stack.move();
  return on;
}
