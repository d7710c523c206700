/** Hosts, guests and moves of a fleet in lines for a person. */
import type { GroupTold, GuestTold, HostTold, MoveTold, StuckTold } from './told.ts';

export function hostInWords({ host, agent, status }: HostTold): string {
  if (status === null) return `${host}  ${agent}  DOES NOT ANSWER`;
  const recover = status.sagas.filter(({ state }) => state === 'needsRecovery').length;
  const open = status.sagas.length - recover;
  return [
    `${host}  ${agent}  ${count(status.guests.length, 'guest')}`,
    ...(open > 0 ? [`${count(open, 'saga')} under way`] : []),
    ...(recover > 0 ? [`${count(recover, 'saga')} NEEDS RECOVERY: "blocksaga sagas" there`] : []),
  ].join(', ');
}

export function guestsInWords({ host, status }: HostTold): readonly string[] {
  return (status?.guests ?? []).map(({ vm }) => {
    const sagas = (status?.sagas ?? []).filter(saga => saga.vm === vm);
    const what = sagas.map(({ id, operation, state }) => `${operation} ${id} (${state})`).join(', ');
    return `${vm}  on ${host}${what === '' ? '' : `: ${what}`}`;
  });
}

/** Nothing else tells of it, and what it is about is not free for another request. */
export function stuckInWords({ id, target, status, why }: StuckTold): string {
  const is = status === 'paused' ? 'PAUSED by Restate' : 'FAILS again and again';
  return `${target}  ${is}${why === null ? '' : `: ${why}`} ("restate invocations resume ${id}", or "cancel")`;
}

const STATES: Readonly<Record<MoveTold['state'], string>> = {
  planning: 'is being planned',
  planned: 'was planned, and nothing was done',
  refused: 'was refused, and nothing was begun',
  moving: 'is under way',
  stopping: 'begins no further guest, and waits for those under way',
  takingBack: 'is being taken back',
  done: 'is done: every guest is on its new images',
  incomplete: 'has come to its end, and some guests are NOT on their new images',
  stopped: 'was stopped: some guests were not begun',
  takenBack: 'was taken back: no guest is on new images, but where it says so',
};

export function moveInWords(id: string, { state, guests, why }: MoveTold): readonly string[] {
  const states = new Map<string, number>();
  for (const guest of guests) states.set(guest.state, (states.get(guest.state) ?? 0) + 1);
  const counts = [...states].map(([name, many]) => `${many} ${name}`).join(', ');
  return [
    ...guests.flatMap(guestInWords),
    `move ${id} ${STATES[state]}${counts === '' ? '' : ` (${counts})`}${why === undefined ? '' : `: ${why}`}`,
  ];
}

export function groupInWords(id: string, { state, members = [] }: GroupTold): readonly string[] {
  return [
    ...members.flatMap(each => [`${each.id}  ${each.state}`, ...leftoversInWords(each)]),
    `group ${id}: ${state}`,
  ];
}

/** As the command of one host says it. */
function leftoversInWords({ leftovers = [] }: { readonly leftovers?: readonly string[] | undefined }) {
  return leftovers.map(each => `    left behind: ${each}`);
}

function guestInWords(told: GuestTold): readonly string[] {
  const { guest, host, state, disks, blackoutMs, why, saga } = told;
  const paused = blackoutMs === undefined ? '' : `, paused for ${blackoutMs.toFixed(1)} ms`;
  return [
    `${guest}  on ${host}  ${state}${paused}${why === undefined ? '' : `: ${why}`}${state === 'needsRecovery' ? ` ("blocksaga resume ${saga}" there)` : ''}`,
    ...disks.map(({ disk, from, to }) => `    ${disk}  ${from} -> ${to}`),
    ...leftoversInWords(told),
  ];
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? '' : 's'}`;
}
