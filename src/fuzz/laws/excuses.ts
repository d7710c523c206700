/**
 * What a law does not blame a saga for, in one table: the fault or the world, the law, and the reason. Each row has a place in
 * `property-tests/excuses.test.ts`, and docs/laws.md shows all of them. Judges nothing by itself.
 */
import type { Excuse } from './excuse.ts';
import { BY_FAULT } from './excuses-by-fault.ts';
import { BY_WORLD } from './excuses-by-world.ts';
import { WITHOUT_QEMU } from './excuses-without-qemu.ts';

export const EXCUSES: readonly Excuse[] = [...BY_FAULT, ...WITHOUT_QEMU, ...BY_WORLD];
