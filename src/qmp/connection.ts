/**
 * One connection to QEMU at work: greeting, commands matched to replies by id, events handed out. It knows what may still
 * be trusted after a message that makes no sense: nothing.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import { whyNoAnswer, whyNoEvent } from './check-shape.ts';
import type { Clock } from './clock.ts';
import type { Arguments, CallOptions, Command, CommandName, QmpEvent, Replies, Reply } from './commands.ts';
import { asError, lost, refusal, ungreeted } from './connection-errors.ts';
import { deadlineMsFor } from './deadlines.ts';
import { InFlight } from './in-flight.ts';
import { type Greeting, type Message, parseGreeting, parseMessage, type QmpVersion } from './messages.ts';
import { startPatience } from './patience.ts';
import { valueIn } from './reply-values.ts';
import type { QmpCommands } from './schema.generated.ts';
import { SOUNDING, soundOut } from './sounding.ts';
import type { Json, Transport, TransportHandlers } from './transport.ts';
import { repeatUntil, type UntilOptions } from './until.ts';

/** More commands than this under way at once is a runaway caller. */
const IN_FLIGHT_MAX = 65_536;

/** The working half of a `QmpClient`; the public members are documented there. */
export class Connection implements TransportHandlers {
  readonly closed: Promise<void>;
  readonly #clock: Clock;
  readonly #deadlines: Partial<Record<CommandName, number>>;
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #inFlight: InFlight;
  readonly #endWatchers = new Set<() => void>();
  #transport: Transport | undefined;
  #greeting: Greeting | undefined;
  #open = true;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Why the connection ended, where we know. */
  #failure: BlocksagaError | undefined;
  #ended: () => void = () => {};
  #greetingSettled: (() => void) | undefined;

  constructor(clock: Clock, deadlines: Partial<Record<CommandName, number>>) {
    this.#clock = clock;
    this.#inFlight = new InFlight(clock);
    this.#deadlines = deadlines;
    this.closed = new Promise(resolve => {
      this.#ended = resolve;
    });
  }

  attach(transport: Transport): void {
    this.#transport = transport;
    if (!this.#open) this.close();
  }

  async greeted(deadlineMs: number): Promise<Greeting> {
    if (this.#greeting === undefined && this.#open) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#greetingSettled = resolve;
      const patience = startPatience(
        { clock: this.#clock, deadlineMs, heardMs: () => this.#heardMs },
        resolve,
      );
      await promise;
      patience.cancel();
      this.#greetingSettled = undefined;
    }
    if (this.#greeting) return this.#greeting;
    throw ungreeted(this.#open ? deadlineMs : undefined, this.#failure);
  }

  get version(): QmpVersion {
    invariant(this.#greeting, 'a client is handed out only after its greeting');
    return this.#greeting.version;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  async execute<C extends CommandName>(
    command: C,
    args?: Arguments<C>,
    options?: CallOptions,
  ): Promise<QmpCommands[C]['returns']> {
    const [reply] = await this.#send([commandOf(command, args)], options);
    invariant(reply, 'every command gets a reply');
    return valueIn(reply) as QmpCommands[C]['returns'];
  }

  async pipeline<const L extends readonly Command[]>(
    commands: L,
    options?: CallOptions,
  ): Promise<Replies<L>> {
    return (await this.#send(commands, options)) as Replies<L>;
  }

  #send(commands: readonly Command[], options: CallOptions | undefined): Promise<readonly Reply[]> {
    if (commands.length === 0) return Promise.resolve([]);
    const unsent = this.#whyNotSent(commands);
    if (unsent) return Promise.resolve(commands.map(() => ({ ok: false, error: unsent })));
    const deadlineMs = options?.deadlineMs ?? this.#longestDeadlineMs(commands);
    const send = (messages: readonly Json[]) => this.#carry(transport => transport.send(messages));
    const entered = this.#inFlight.enter(commands, deadlineMs, send, options?.onReply);
    const afterMs = options?.soundAfterMs;
    if (afterMs === undefined) return entered.replies;
    const ask = () => this.#inFlight.enter(SOUNDING, deadlineMs, send).replies;
    return soundOut(entered, { clock: this.#clock, afterMs, ask });
  }

  #whyNotSent(commands: readonly Command[]): BlocksagaError | undefined {
    if (!this.#open || !this.#transport) {
      const names = commands.map(command => command.execute).join(', ');
      return new BlocksagaError('QMP_DISCONNECTED', `${names} not sent: the connection to QEMU has ended`, {
        effect: 'notApplied',
        cause: this.#failure,
      });
    }
    if (this.#inFlight.size + commands.length > IN_FLIGHT_MAX)
      return new BlocksagaError(
        'REQUEST_INVALID',
        `${commands.length} commands were not sent: ${this.#inFlight.size} wait for replies already, ${IN_FLIGHT_MAX} may`,
      );
    return undefined;
  }

  #longestDeadlineMs(commands: readonly Command[]): number {
    return commands.reduce(
      (longest, { execute }) => Math.max(longest, this.#deadlines[execute] ?? deadlineMsFor(execute)),
      0,
    );
  }

  onSign(): void {
    this.#heardMs = this.#clock.now();
    this.#inFlight.heard();
  }

  onMessage(json: Json): void {
    if (!this.#open) return;
    this.onSign();
    try {
      this.#take(json);
    } catch (cause) {
      // Whatever it was, it must not come out of a handler of the transport.
      this.#fail(
        new BlocksagaError('QMP_PROTOCOL', `a message from QEMU cannot be read: ${cause}`, { cause }),
      );
    }
  }

  #take(json: Json): void {
    if (this.#greeting === undefined) {
      this.#onGreeting(json);
      return;
    }
    const message = parseMessage(json);
    switch (message.kind) {
      case 'event': {
        const { event, data } = message.event;
        const why = whyNoEvent(event, data);
        if (why === undefined) this.#onEvent(message.event as QmpEvent);
        else
          this.#fail(
            new BlocksagaError('QMP_PROTOCOL', `QEMU sent an event ${event} that is none, ${event}${why}`),
          );
        break;
      }
      case 'return':
      case 'error':
        this.#onReply(message);
        break;
      case 'nonsense':
        this.#fail(new BlocksagaError('QMP_PROTOCOL', message.why));
    }
  }

  #onGreeting(json: Json): void {
    const greeting = parseGreeting(json);
    if (greeting instanceof BlocksagaError) this.#fail(greeting);
    else this.#greeting = greeting;
    this.#greetingSettled?.();
  }

  #onEvent(event: QmpEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        // Their fault must not stop ours; on a task of its own it crashes as it should.
        this.#clock.after(0, () => {
          throw error;
        });
      }
    }
  }

  #onReply(message: Message & { kind: 'return' | 'error' }): void {
    const { id } = message;
    let wrong: BlocksagaError | undefined;
    const isExpected = this.#inFlight.settle(id, command => {
      if (message.kind === 'error')
        return { ok: false, error: refusal(command, message.class, message.desc) };
      const why = whyNoAnswer(command, message.value);
      if (why === undefined) return { ok: true, value: message.value };
      const what = `QEMU answered ${command} with what is no answer to it, ${command}${why}`;
      wrong = new BlocksagaError('QMP_PROTOCOL', what);
      return { ok: false, error: wrong };
    });
    if (wrong !== undefined) this.#fail(wrong);
    if (isExpected) return;
    // A reply without our id belongs to none of the commands under way for certain, so none can be trusted any more.
    const why =
      message.kind === 'error'
        ? `QEMU could not read what it was sent: ${message.desc}`
        : 'QEMU answered a command that was not sent, or answered it twice: does another client write to this monitor?';
    this.#fail(new BlocksagaError('QMP_PROTOCOL', why));
  }

  /** Ends a connection on which nothing can be trusted any more. */
  #fail(error: BlocksagaError): void {
    this.#failure ??= error;
    this.close();
    this.#settleAll();
  }

  onClose(reason?: Error): void {
    if (reason) this.#failure ??= asError(reason);
    this.#open = false;
    this.#settleAll();
    this.#ended();
    this.#greetingSettled?.();
    for (const onEnd of [...this.#endWatchers]) onEnd();
  }

  #settleAll(): void {
    const failure = this.#failure;
    this.#inFlight.settleAll(command => ({ ok: false, error: lost(`${command} was answered`, failure) }));
  }

  subscribe(listener: (event: QmpEvent) => void): () => void {
    // Wrapped, so that one function may listen twice and end each on its own.
    const entry = (event: QmpEvent) => listener(event);
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  until<T>(what: string, check: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
    return repeatUntil(
      {
        clock: this.#clock,
        watch: onSign => {
          const onEnd = () => onSign(undefined);
          const unsubscribe = this.subscribe(onSign);
          this.#endWatchers.add(onEnd);
          return () => {
            unsubscribe();
            this.#endWatchers.delete(onEnd);
          };
        },
        assertOpen: () => {
          if (!this.#open) throw lost(`the end of the wait for ${what}`, this.#failure);
        },
      },
      what,
      check,
      options,
    );
  }

  close(): void {
    this.#open = false;
    this.#carry(transport => transport.close());
  }

  /** A transport that the caller passed may throw: the connection has ended then, whatever of it was sent. */
  #carry(use: (transport: Transport) => void): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    try {
      use(transport);
    } catch (error) {
      // It is not asked again.
      this.#transport = undefined;
      this.onClose(new Error(`the connection to QEMU broke: ${String(error)}`, { cause: error }));
      endQuietly(transport);
    }
  }
}

/** What has thrown may hold a connection open all the same. */
function endQuietly(transport: Transport): void {
  try {
    transport.close();
  } catch {
    // It has told why it cannot, just before.
  }
}

function commandOf<C extends CommandName>(execute: C, args: Arguments<C> | undefined): Command {
  return (args === undefined ? { execute } : { execute, arguments: args }) as Command;
}
