/** `blocksaga agent`: the guests of this host, served to all who have its token. It only reads options, and ends the agent in order. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { startAgent } from '../../agent/agent.ts';
import { guestsHere } from '../../agent/guests-here.ts';
import type { ListenOptions } from '../../agent/listen.ts';
import { tokenIn } from '../../agent/token-file.ts';
import type { Limit } from '../../engine/limits.ts';
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { absoluteFile, collect, readBytes, readCount, socketAddress } from '../options/option-values.ts';
import { addJournalOption, journalOf } from '../options/shared-options.ts';
import type { CliContext } from '../print/context.ts';
import { EXIT, type Finished } from '../print/exit-status.ts';

const HELP = `
It serves snapshot, copy, pull, commit and revert of its guests over HTTP, resumes at start what a dead predecessor has
left, and on SIGTERM lets go of all in order: mirrors go on in QEMU, and the next agent takes the sagas over. Requests
and answers: docs/agent.md. What happens is told on standard output, one JSON object a line.

Every request needs "Authorization: Bearer TOKEN", with the token in --token-file, which is made (mode 0600) where it is
not there. On an address other than loopback it listens by TLS alone.

Guests of several hosts are snapshotted at one instant by "blocksaga fleet snapshot": the agents of all but the first
host then ask the first one's, with the same token; --agent-ca signs their certificates, where an authority of your own
does.

Guests: --vm NAME=MONITOR, every NAME.qmp in the directory of --vms, and what the program of --discover prints (a JSON
object of monitors by name). They are looked for at each request, so that guests may come and go.

Examples:
  $ blocksaga agent --token-file /etc/blocksaga/token --vms /run/vms
  $ blocksaga agent --token-file /etc/blocksaga/token --vm web=/run/web.qmp --vm db=/run/db.qmp --listen 127.0.0.1:7171
  $ blocksaga agent --token-file /etc/blocksaga/token --vms /run/vms --copies 4 --bandwidth 400M --copies-per-target 2
  $ blocksaga agent --token-file /etc/blocksaga/token --vms /run/vms --listen 10.0.0.7:7171 \\
      --tls-cert /etc/blocksaga/host.pem --tls-key /etc/blocksaga/host.key --tls-client-ca /etc/blocksaga/ca.pem
  $ printf 'header = "Authorization: Bearer %s"\\n' "$(cat /etc/blocksaga/token)" | curl -K - 127.0.0.1:7171/status

Exit status: 0 ended by a signal, 2 refused.`;

interface AgentOptions {
  readonly tokenFile: string;
  readonly host?: string;
  readonly listen: string;
  readonly vm?: readonly string[];
  readonly vms?: string;
  readonly discover?: string;
  readonly copies?: number;
  readonly bandwidth?: number;
  readonly copiesPerTarget?: number;
  readonly bandwidthPerTarget?: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly agentCa?: string;
  readonly agentCert?: string;
  readonly agentKey?: string;
  readonly journal?: string;
}

export function defineAgent(program: Command, context: CliContext, finished: Finished): void {
  const command = program
    .command('agent')
    .summary('serve the guests of this host over HTTP')
    .description(
      'Serves the guests of this host over HTTP to all who have its token, with a journal of its own.',
    )
    .requiredOption('--token-file <file>', 'has what every request must send; made where it is not there')
    .option('--host <name>', "this host's name in the fleet (default: the machine's)")
    .option('--listen <address>', 'HOST:PORT; without TLS on loopback alone', '127.0.0.1:7171')
    .option('--vm <name=monitor>', 'a guest and its monitor; repeatable', collect)
    .option('--vms <directory>', 'every NAME.qmp in it is the monitor of the guest NAME')
    .option('--discover <program>', 'a program that prints a JSON object of monitors by name')
    .option('--copies <n>', 'how many disks copy at once on this host', readCount('--copies'))
    .option('--bandwidth <bytes>', 'bytes per second that all copies take together', readBytes('--bandwidth'))
    .option('--copies-per-target <n>', '... at once onto one file system', readCount('--copies-per-target'))
    .option(
      '--bandwidth-per-target <bytes>',
      '... bytes per second onto one file system',
      readBytes('--bandwidth-per-target'),
    )
    .option('--tls-cert <file>', "the agent's certificate (PEM)")
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--tls-client-ca <file>', 'who signs the certificates of clients, which must then have one (PEM)')
    .option('--agent-ca <file>', 'who signs the certificates of agents that lead groups with this one (PEM)')
    .option('--agent-cert <file>', 'what is shown to agents that ask for a certificate (PEM)')
    .option('--agent-key <file>', 'its key (PEM)')
    .addHelpText('after', HELP);
  addJournalOption(command).action(async (options: AgentOptions) => {
    const directory = options.vms === undefined ? undefined : absoluteFile(options.vms, context);
    // From here on a signal ends it in order, also while it takes over what was left.
    const interrupted = Promise.withResolvers<void>();
    let interrupts = 0;
    const stopListening = context.onInterrupt(() => {
      interrupts += 1;
      interrupted.resolve();
      if (interrupts > 1) void context.leave(EXIT.done);
    });
    const agent = await startAgent({
      host: options.host ?? hostname(),
      journal: journalOf(options, context),
      guests: guestsHere({
        named: namedIn(options.vm ?? [], context),
        ...definedOnly({ directory, program: programIn(options.discover, context) }),
      }),
      listen: listenOptions(options, context),
      token: tokenIn(absoluteFile(options.tokenFile, context)),
      limits: limitsOf(options),
      ...definedOnly({ peerTls: peerTlsOf(options, context) }),
      log: line => context.write(JSON.stringify({ atMs: context.clock.epochMs(), ...line })),
    });
    context.write(JSON.stringify({ listening: agent.url }));
    await interrupted.promise;
    await agent.close();
    stopListening();
    finished(EXIT.done);
  });
}

function namedIn(texts: readonly string[], context: CliContext): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const text of texts) {
    const [, name = '', monitor = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name === '') refuse(`--vm ${text}: say NAME=MONITOR`);
    if (named.has(name)) refuse(`--vm ${name} is there twice`);
    named.set(name, socketAddress(monitor, context));
  }
  return named;
}

/** A bare name is looked for in PATH. */
function programIn(program: string | undefined, context: CliContext): string | undefined {
  return program?.includes('/') ? absoluteFile(program, context) : program;
}

function listenOptions(options: AgentOptions, context: CliContext): ListenOptions {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(options.listen) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    return refuse(`--listen ${options.listen}: say HOST:PORT, such as 127.0.0.1:7171 or [::1]:7171`);
  }
  const { tlsCert, tlsKey, tlsClientCa } = options;
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return { host, port };
  if (tlsCert === undefined || tlsKey === undefined) refuse('TLS needs both --tls-cert and --tls-key');
  const [certificate, key] = [absoluteFile(tlsCert, context), absoluteFile(tlsKey, context)];
  const clientCa = tlsClientCa === undefined ? undefined : absoluteFile(tlsClientCa, context);
  return { host, port, tls: { certificate, key, ...definedOnly({ clientCa }) } };
}

function peerTlsOf({ agentCa, agentCert, agentKey }: AgentOptions, context: CliContext) {
  if ((agentCert === undefined) !== (agentKey === undefined))
    refuse('a certificate for other agents needs both --agent-cert and --agent-key');
  const pem = (option: string, file: string | undefined) =>
    file === undefined ? undefined : readPem(option, absoluteFile(file, context));
  if (agentCa === undefined && agentCert === undefined) return undefined;
  return definedOnly({
    ca: pem('--agent-ca', agentCa),
    cert: pem('--agent-cert', agentCert),
    key: pem('--agent-key', agentKey),
  });
}

function readPem(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    return refuse(`${option} ${file} cannot be read: ${cause}`);
  }
}

function limitsOf({ copies, bandwidth, copiesPerTarget, bandwidthPerTarget }: AgentOptions) {
  const all: Limit = definedOnly({ copies, bandwidth });
  const perTarget: Limit = definedOnly({ copies: copiesPerTarget, bandwidth: bandwidthPerTarget });
  return { all, perTarget };
}

function refuse(why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', why);
}
