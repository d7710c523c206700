/**
 * How a simulated command fails: with QEMU's error class and description. Not an `Error`, because nothing is wrong with
 * the simulator and a stack trace would cost more than the command.
 */

export type QmpErrorClass = 'GenericError' | 'CommandNotFound' | 'DeviceNotFound' | 'DeviceNotActive';

export class Refusal {
  readonly class: QmpErrorClass;
  readonly desc: string;

  constructor(desc: string, errorClass: QmpErrorClass) {
    this.class = errorClass;
    this.desc = desc;
  }
}

/** What it refuses; undefined where it goes through. */
export function refusalOf(act: () => void): Refusal | undefined {
  try {
    act();
    return undefined;
  } catch (refusal) {
    if (refusal instanceof Refusal) return refusal;
    throw refusal;
  }
}

/** Ends the command with an error reply. */
export function refuse(desc: string, errorClass: QmpErrorClass = 'GenericError'): never {
  throw new Refusal(desc, errorClass);
}

/** Thrown where real QEMU dies: the process is gone, and with it every monitor. */
export class Death {
  readonly signal: string;
  readonly reason: string;

  constructor(signal: string, reason: string) {
    this.signal = signal;
    this.reason = reason;
  }
}
