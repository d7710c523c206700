/**
 * What is done after a blow until everything has come to rest: sagas are waited for, those of dead QEMUs are recovered without them as an
 * operator does, and QEMUs are started again. All of it is bounded; what does not come to rest is wrong.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlocksagaError, openJournal } from '../../src/index.ts';
import type { Arena, Host } from './arena.ts';
import type { Guest, Seen } from './guest.ts';
import type { Operation } from './operations.ts';

/** Of a command by hand. */
const REST_MS = 120_000;
const LOOK_MS = 100;
/**
 * Looks, 100 ms apart, within which every saga of the round has ended with nothing killed any more: two minutes, and longer on a machine
 * that others have, on which the looks take longer too.
 */
const LOOKS_MAX = 1_200;
/** And within which the key of each guest's object is free then: a minute. */
const KEY_LOOKS_MAX = 600;

interface Struck {
  readonly operation: Operation;
  readonly before: ReadonlyMap<Guest, Seen>;
  /** Whose QEMU was killed. */
  readonly dead: readonly Guest[];
}

export interface Rested {
  /** Of each saga that was begun, what its host's journal says. */
  readonly sides: ReadonlyMap<string, string>;
  readonly byHand: readonly string[];
  readonly settledMs: number;
  readonly heldMs: number;
  readonly wrong: readonly string[];
}

interface Told {
  readonly id: string;
  readonly vm: string;
  readonly operation: string;
  readonly state: string;
}

export async function putRight(arena: Arena, struck: Struck): Promise<Rested> {
  const begunMs = Date.now();
  const byHand: string[] = [];
  const wrong: string[] = [];
  for (const guest of struck.dead) await bootAgain(arena, guest, struck, byHand, wrong);
  const resumed = new Set<string>();
  for (let looks = 0; ; looks += 1) {
    const left = await sagasLeft(arena);
    if (left.length === 0) break;
    if (looks > LOOKS_MAX) {
      wrong.push(
        ...left.map(
          ({ host, saga }) => `saga ${saga.id} is ${saga.state} on ${host.name} after ${looks} looks`,
        ),
      );
      break;
    }
    for (const { host, saga } of left) {
      if (saga.state !== 'needsRecovery' || resumed.has(saga.id)) continue;
      resumed.add(saga.id);
      byHand.push(`blocksaga resume ${saga.operation}: status ${await resume(host, saga.id)}`);
    }
    await sleep(LOOK_MS);
  }
  const settledMs = Date.now() - begunMs;
  const heldMs = await keysAreFree(arena, wrong);
  return { sides: statesIn(arena), byHand, settledMs, heldMs, wrong };
}

async function sagasLeft({ hosts }: Arena): Promise<readonly { readonly host: Host; readonly saga: Told }[]> {
  const told = await Promise.all(
    hosts.map(async host => {
      const { sagas } = (await host.ask('status')) as unknown as { readonly sagas: readonly Told[] };
      return sagas.map(saga => ({ host, saga }));
    }),
  );
  return told.flat();
}

/** The images that its sagas name, or those that it was on where none of them has begun. */
async function bootAgain(
  arena: Arena,
  guest: Guest,
  { before, operation }: Struck,
  byHand: string[],
  wrong: string[],
): Promise<void> {
  const host = arena.hosts.find(({ guests }) => guests.includes(guest)) as Host;
  let fronts = before.get(guest)?.chains.map(([front = '']) => front) ?? [];
  const ids = sagasOn(host, operation, guest);
  for (const id of ids) {
    const right = new Set<string>();
    for (let tries = 1; ; tries += 1) {
      try {
        const { outcome, boot = [], disks } = await guest.recover(host.journal, id, [...right]);
        const said = right.size > 0 ? ' --accept-image' : '';
        byHand.push(`blocksaga resume --offline${said}: ${outcome}`);
        const files =
          boot.length > 0 ? boot.map(({ file }) => file) : disks.map(({ after }) => after?.file ?? '');
        if (files.length > 0) fronts = files;
        break;
      } catch (error) {
        // An agent that reaches QEMU by TCP sees none of its files. No third party replaces any here, so that those which are there are right.
        const inDoubt =
          guest.wire !== undefined && error instanceof BlocksagaError ? (error.images ?? []) : [];
        const files = inDoubt.length > 0 ? await guest.files() : [];
        for (const file of inDoubt) if (files.includes(file)) right.add(file);
        if (tries > LOOKS_MAX) {
          wrong.push(`${id} cannot be recovered without its QEMU: ${error}`);
          break;
        }
        await sleep(LOOK_MS);
      }
    }
  }
  const found = await guest.boot(fronts);
  wrong.push(...found.map(words => `${guest.name}, when it is started again: ${words}`));
  host.tellMonitors();
}

/** The sagas of this round and this guest that its host's journal has. */
function sagasOn(host: Host, { sagas }: Operation, { name }: Guest): readonly string[] {
  const journal = openJournal(host.journal);
  try {
    return journal
      .sagas()
      .filter(({ id, vm }) => sagas.includes(id) && vm === name)
      .map(({ id }) => id);
  } finally {
    void journal.close();
  }
}

/** By hand, beside the agent. */
async function resume(host: Host, saga: string): Promise<number | null> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../src/cli/main.ts'), 'resume', saga, '--journal', host.journal],
    { stdio: 'ignore', timeout: REST_MS },
  );
  return new Promise(resolve => child.once('exit', code => resolve(code)));
}

/** Binds each guest anew, which waits for its turn. Gives the longest that one took. */
async function keysAreFree(arena: Arena, wrong: string[]): Promise<number> {
  const { hosts, caller } = arena;
  const times = await Promise.all(
    hosts.flatMap(({ guests, wire }) =>
      guests.map(async ({ name }) => {
        const askedMs = Date.now();
        let isFree = false;
        const bound = caller.ask(`guest/${name}/bind`, `http://127.0.0.1:${wire.port}`).finally(() => {
          isFree = true;
        });
        for (let looks = 0; !isFree && looks < KEY_LOOKS_MAX; looks += 1) {
          await sagasLeft(arena);
          await Promise.race([bound, sleep(LOOK_MS)]);
        }
        if (isFree) await bound;
        else {
          wrong.push(`the key of ${name} was held for ${KEY_LOOKS_MAX} looks`);
          // The round is broken, whatever comes of it.
          bound.catch(() => undefined);
        }
        return Date.now() - askedMs;
      }),
    ),
  );
  return Math.max(...times);
}

/** By `HOST/SAGA`, what the journals say. */
export function statesIn({ hosts }: Arena): ReadonlyMap<string, string> {
  const states = new Map<string, string>();
  for (const host of hosts) {
    const journal = openJournal(host.journal);
    for (const { id, state } of journal.sagas()) states.set(`${host.name}/${id}`, state);
    void journal.close();
  }
  return states;
}
