/** Certificates for QEMU's `tls-creds-x509` and its clients, made by openssl for two days. Starts nothing. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { stdio: 'pipe' });

/** The authority `ca`, and what it has signed, under the names that QEMU looks for: `server`, `client`. `stranger` is by another one, `other`. */
export function makeCertificates(folder: string): void {
  const file = (name: string) => join(folder, name);
  const authority = (name: string) =>
    openssl(
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`],
      ...['-keyout', file(`${name}-key.pem`), '-out', file(`${name}-cert.pem`)],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
  const signed = (name: string, by: string, usage: string) => {
    openssl(
      ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`],
      ...['-keyout', file(`${name}-key.pem`), '-out', file(`${name}.csr`)],
    );
    writeFileSync(
      file('ext'),
      `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=${usage}\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n`,
    );
    openssl(
      ...['x509', '-req', '-in', file(`${name}.csr`), '-days', '2', '-extfile', file('ext')],
      ...['-CA', file(`${by}-cert.pem`), '-CAkey', file(`${by}-key.pem`), '-out', file(`${name}-cert.pem`)],
    );
  };
  authority('ca');
  authority('other');
  signed('server', 'ca', 'serverAuth');
  signed('client', 'ca', 'clientAuth');
  signed('stranger', 'other', 'clientAuth');
}

/** Of a chardev that was to listen at a port which QEMU chooses. */
export async function portOf(witness: { execute(command: string): Promise<unknown> }): Promise<number> {
  const chardevs = await witness.execute('query-chardev');
  const port = /:(\d+),server/.exec(JSON.stringify(chardevs))?.[1];
  if (port === undefined) throw new Error(`no port in ${JSON.stringify(chardevs)}`);
  return Number(port);
}
