/**
 * Judges what a saga made of files that a third party has renamed, replaced or re-created: before they are put back it must have
 * said which images a boot would not find, and what is not its own must be as it was made. Changes nothing.
 */
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaResult } from '../../src/index.ts';
import { changedOf, type FileAct, leadsElsewhere, madeIn } from './file-acts.ts';
import type { ThirdPartyCase } from './judge-third-party.ts';
import { type Heard, why } from './lives.ts';
import { fileOf } from './outside.ts';
import { ANY_INSTANT } from './rounds.ts';

interface Block {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name'?: string; readonly image: Image };
}

interface Image {
  readonly filename: string;
  readonly 'backing-image'?: Image;
}

/** What is wrong, and whether the guest reads a third party's file since QEMU has opened it, as the result owns up to. */
export async function judgeNames(
  vm: GuestVm,
  { answers, round }: ThirdPartyCase,
  act: FileAct,
  last: Heard,
): Promise<{ readonly wrong: readonly string[]; readonly isReadFromTheirs: boolean }> {
  const hasActed = answers.some(
    answer => answer !== null && typeof answer === 'object' && 'return' in answer,
  );
  if (!hasActed) return { wrong: [], isReadFromTheirs: false };
  const told = toldIn(last);
  const isEnded = last.says === 'result' && ['committed', 'rolledBack'].includes(last.result.outcome);
  // Which of both came first is not known of what was done by the clock.
  const mayBeLate = round.moment === ANY_INSTANT;
  const names = isEnded && !mayBeLate ? await namesInUse(vm, last.result.disks) : [];
  const untold = names.filter(name => leadsElsewhere(act, name) && !told.has(name));
  const changed = changedOf(act, madeIn(answers));
  const harmed = isEnded && !mayBeLate ? changed.filter(file => !told.has(file)) : [];
  return {
    wrong: [
      ...untold.map(name => `I3: ${name} leads elsewhere, and the result does not say so: ${why(last)}`),
      ...harmed.map(
        file => `I4: the third party's ${file} is gone or was written to, and nothing is said of it`,
      ),
    ],
    isReadFromTheirs: changed.length > 0,
  };
}

/** The files that a result names as images that a boot would not find, or as not found where they were made. */
function toldIn(last: Heard): ReadonlySet<string> {
  if (last.says !== 'result') return new Set();
  const { misnamed = [], leftovers } = last.result;
  return new Set([
    ...misnamed.map(({ file }) => file),
    ...leftovers.map(words => words.replace(/ \(.*$/s, '')),
  ]);
}

/** Every image that QEMU has open for a disk of the saga, by the name that it was opened by; none where QEMU is gone. */
async function namesInUse(vm: GuestVm, asked: SagaResult['disks']): Promise<readonly string[]> {
  const blocks = (await vm.witness.execute('query-block').catch(() => [])) as readonly Block[];
  const names: string[] = [];
  for (const block of blocks.filter(each => asked.some(({ disk }) => isDisk(each, disk))))
    for (let image = block.inserted?.image; image !== undefined; image = image['backing-image'])
      names.push(fileOf(image.filename));
  return names;
}

/** By whichever of its names a disk was asked for: of one that the saga has nothing to do with it says nothing. */
function isDisk({ device, qdev = '', inserted }: Block, disk: string): boolean {
  return qdev.split('/').includes(disk) || device === disk || inserted?.['node-name'] === disk;
}
