/** Certificates of an authority of a test's own, made by openssl. Starts nothing. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Said {
  /** As openssl has them: `DNS:h1.example,IP:127.0.0.1`. */
  readonly names?: string;
  /** For so long from now on; it has expired below 0. */
  readonly days?: number;
}

export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

export class Authority implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'blocksaga-authority-'));
  readonly file = join(this.folder, 'ca.pem');
  readonly #key = join(this.folder, 'ca.key');

  constructor(name: string) {
    openssl('req', '-x509', ...newKey(this.#key), '-out', this.file, '-days', '2', '-subj', `/CN=${name}`);
  }

  get pem(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** For both ends of a connection, as agents of a fleet are. */
  sign(name: string, { names = 'IP:127.0.0.1,DNS:localhost', days = 2 }: Said = {}): Certified {
    const [certificate = '', key = '', request = '', more = ''] = ['pem', 'key', 'csr', 'ext'].map(ending =>
      join(this.folder, `${name}.${ending}`),
    );
    openssl('req', ...newKey(key), '-out', request, '-subj', `/CN=${name}`);
    writeFileSync(more, `basicConstraints=CA:FALSE\nsubjectAltName=${names}\n`);
    const signing = ['-CA', this.file, '-CAkey', this.#key, '-extfile', more, '-days', String(days)];
    openssl('x509', '-req', '-in', request, '-out', certificate, ...signing);
    return { certificate, key };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function newKey(file: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file];
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
