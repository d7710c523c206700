/**
 * Where an agent listens: on loopback by HTTP, or elsewhere by TLS alone. It knows under which names it may be asked; what is asked
 * is none of its business.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BlocksagaError } from '../errors.ts';
import { ownHosts } from '../inspect/local-only.ts';
import { systemClock } from '../qmp/clock.ts';
import { type RefusedClient, RefusedClients } from './refused-clients.ts';
import { faultOfClient } from './tls-fault.ts';

const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '::1'];
/** What another agent asks in the pause of its guests goes over a connection that it has opened before. */
const KEEP_ALIVE_MS = 75_000;

export interface ListenOptions {
  /** A name or address of this machine. */
  readonly host: string;
  /** 0 takes one that is free. */
  readonly port: number;
  /** PEM files; without them it listens on loopback alone. */
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    /** Who signs the certificates of clients; without it a client shows none. */
    readonly clientCa?: string;
  };
}

export interface Listening {
  readonly server: Server;
  readonly url: string;
  /** Whether the header Host names this server. */
  isOwnName(host: string): boolean;
  /** For a refusal. */
  readonly ownNames: string;
}

/** Begins to listen; `refused` hears of clients with which there is no TLS. Throws REQUEST_INVALID for an address that would be open without TLS, and for TLS files that are none. */
export async function listen(
  options: ListenOptions,
  answer: RequestListener,
  refused: (client: RefusedClient) => void = () => undefined,
): Promise<Listening> {
  const { host, tls } = options;
  if (tls === undefined && !LOOPBACK.includes(host)) {
    const why = `on ${host} it is reached from other machines, with its token in clear: give --tls-cert and --tls-key, or listen on 127.0.0.1`;
    throw new BlocksagaError('REQUEST_INVALID', why);
  }
  const certificate = tls === undefined ? undefined : certificateIn(tls.certificate);
  const server = tls === undefined ? serverInClear(answer) : tlsServer(tls, answer);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const clients = new RefusedClients(refused, systemClock);
  server.on('tlsClientError', (error: Error, { authorizationError, remoteAddress }: TLSSocket) => {
    // Node has its code there, though its types say an error.
    const shown = authorizationError ? String(authorizationError) : undefined;
    clients.came({ client: remoteAddress ?? 'gone', ...faultOfClient(error, shown) });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => {
      const why = `cannot listen on ${host}, port ${options.port}: ${cause.message}`;
      reject(new BlocksagaError('REQUEST_INVALID', why, { cause }));
    });
    server.listen(options.port, host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  const shown = isIP(host) === 6 ? `[${host}]` : host;
  const own = [...ownHosts(port), `[::1]:${port}`];
  return {
    server,
    url: `${tls === undefined ? 'http' : 'https'}://${shown}:${port}`,
    isOwnName: asked => (certificate === undefined ? own.includes(asked) : isCertified(certificate, asked)),
    ownNames: certificate?.subjectAltName ?? certificate?.subject ?? own.join(' nor '),
  };
}

/** Whether the certificate is for the name that a client asks under. */
function isCertified(certificate: X509Certificate, asked: string): boolean {
  if (!URL.canParse(`https://${asked}`)) return false;
  const name = new URL(`https://${asked}`).hostname.replace(/^\[(.*)\]$/, '$1');
  const known = isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name);
  return known !== undefined;
}

function certificateIn(file: string): X509Certificate {
  try {
    return new X509Certificate(readFileSync(file));
  } catch (cause) {
    throw new BlocksagaError('REQUEST_INVALID', `${file} holds no certificate (PEM): ${cause}`, { cause });
  }
}

/** Both are loaded when an agent listens: that of `import` would be a fifth of the start of each command. */
function serverInClear(answer: RequestListener): Server {
  return process.getBuiltinModule('node:http').createServer(answer);
}

function tlsServer(
  { certificate, key, clientCa }: NonNullable<ListenOptions['tls']>,
  answer: RequestListener,
): Server {
  try {
    return process.getBuiltinModule('node:https').createServer(
      {
        cert: readFileSync(certificate),
        key: readFileSync(key),
        minVersion: 'TLSv1.2',
        ...(clientCa === undefined
          ? {}
          : { ca: readFileSync(clientCa), requestCert: true, rejectUnauthorized: true }),
      },
      answer,
    );
  } catch (cause) {
    const files = [certificate, key, ...(clientCa === undefined ? [] : [clientCa])].join(', ');
    throw new BlocksagaError('REQUEST_INVALID', `TLS cannot be served with ${files}: ${cause}`, { cause });
  }
}
