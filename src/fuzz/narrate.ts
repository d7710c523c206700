/**
 * Tells a run step by step in words: what was sent, what struck, what each disk looked like. It judges nothing and leaves
 * out what QEMU says about itself at length.
 */
import type { Json } from '../qmp/transport.ts';
import type { Fault, Place } from '../sim/monitor/faults.ts';
import type { Happening } from './account/account.ts';
import type { Signal } from './scenario/scenario.ts';

const TEXT_MAX = 140;

/** What happened, in words: one line, or one for each command of a write. */
export function narrate(happening: Happening): string {
  const at = happening.atMs.toFixed(2).padStart(10);
  return linesOf(happening)
    .map(line => `${at} ms  ${line}`)
    .join('\n');
}

function linesOf(happening: Happening): readonly string[] {
  switch (happening.kind) {
    case 'sent':
      return happening.messages.map(message => `-> ${commandInWords(message)}`);
    case 'received':
      return [`<- ${answerInWords(happening.message)}`];
    case 'file':
      return [`   file ${happening.what} ${happening.path}`];
    case 'struck':
      return [`! ${faultInWords(happening.fault)}`];
    case 'signal':
      return [`! signal ${signalInWords(happening)}, while the saga is at ${happening.came}`];
    case 'process':
      return [`! ${happening.what}`];
    case 'state':
      return [
        `= ${happening.state}; the guest ${happening.running ? 'runs' : 'is paused'}; its disks are on ${happening.fronts.join(', ') || 'nothing: QEMU is gone'}`,
      ];
  }
}

function signalInWords(asked: Signal): string {
  return asked.signal === 'setSpeed' ? `setSpeed ${asked.bytesPerSecond}` : asked.signal;
}

function commandInWords(message: Json): string {
  const { execute, arguments: given } = message as { execute?: string; arguments?: Json };
  return cut(`${execute ?? 'nothing'} ${given === undefined ? '' : JSON.stringify(given)}`);
}

function answerInWords(message: Json): string {
  const {
    event,
    data,
    error,
    return: value,
  } = message as {
    event?: string;
    data?: Json;
    error?: { readonly desc: string };
    return?: Json;
  };
  if (event !== undefined) return cut(`event ${event} ${JSON.stringify(data ?? {})}`);
  if (error !== undefined) return cut(`refused: ${error.desc}`);
  return value === undefined ? 'greeting' : cut(JSON.stringify(value));
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text.trimEnd() : `${text.slice(0, TEXT_MAX)}...`;
}

function faultInWords(fault: Fault): string {
  switch (fault.kind) {
    case 'refuse':
      return `QEMU refuses ${commandAt(fault)}${fault.lasting ? ', and all after it' : ''}`;
    case 'replyLost':
      return `the reply to ${commandAt(fault)} is lost`;
    case 'replyLate':
      return `the reply to ${commandAt(fault)} is ${fault.delayMs} ms late`;
    case 'cut':
      return `the connection breaks ${fault.effect} ${commandAt(fault)} takes effect`;
    case 'event':
      return `event ${fault.event ?? ''} number ${fault.nth ?? 1} comes ${fault.how}`;
    case 'jobFails':
      return `job number ${fault.nth} fails at ${fault.percent} %`;
    case 'jobNeverReady':
      return `job number ${fault.nth} is never ready`;
    case 'pivotRefused':
      return `the pivot of job number ${fault.nth} is refused`;
    case 'diskFull':
      return `the disk has room for ${fault.freeBytes} bytes more`;
    case 'otherClient':
      return `another client sends ${fault.execute} ${JSON.stringify(fault.arguments ?? {})} ${placeInWords(fault.at)}`;
    case 'file':
      return `a third party takes ${fault.path} from its file (${fault.how}) ${placeInWords(fault.at)}`;
    case 'guestShutdown':
      return `the guest shuts down ${placeInWords(fault.at)}`;
    case 'guestSuspend':
      return `the guest goes into S3 ${placeInWords(fault.at)}`;
    case 'kill':
      return `${fault.what === 'host' ? 'the power fails' : 'QEMU is killed'} ${placeInWords(fault.at)}`;
  }
}

function commandAt({ command, nth }: { readonly command?: string; readonly nth?: number }): string {
  return `${command ?? 'command'} number ${nth ?? 1}`;
}

function placeInWords(at: Place): string {
  return at.when === 'at' ? `after ${at.ms} ms` : `${at.when} ${commandAt(at)}`;
}
