/**
 * Why a connection by TLS did not come about, in words that say whose certificate is to be put right. It decides on the codes of Node
 * and OpenSSL alone; undefined for whatever else has happened to a connection.
 */

/** Node's codes for the certificate that the other side has shown. */
const THEIRS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'is signed by no authority that is known here',
  UNABLE_TO_GET_ISSUER_CERT: 'is signed by no authority that is known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'is signed by no authority that is known here',
  SELF_SIGNED_CERT_IN_CHAIN: 'is signed by no authority that is known here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is signed by no authority that is known here',
  CERT_SIGNATURE_FAILURE: 'is not signed by the authority that it names',
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet',
  CERT_REVOKED: 'is revoked',
  INVALID_PURPOSE: 'is not for this end of a connection',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another name',
};

/** What the other side says that has refused the certificate of this one, or the want of one. */
const OURS =
  /ALERT_((?:BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(?:REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED)$/;
/** It may have said so, and its word was lost; or it has ended. */
const BREAKS: readonly string[] = ['ECONNRESET', 'EPIPE'];
const OWN = '--agent-cert and --agent-key are what is shown';

export interface TlsFault {
  readonly code: string;
  readonly words: string;
}

/** A certificate is put right by a person; a connection may also break for another reason. */
export function isFinal({ code }: TlsFault): boolean {
  return !BREAKS.includes(code);
}

/** Of a client: what is wrong with a server that it has asked by TLS, over a connection that has carried no answer before. */
export function faultOfServer(error: unknown): TlsFault | undefined {
  const code = codeOf(error);
  const theirs = THEIRS[code];
  if (theirs !== undefined) {
    const which = code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? ` (${namesIn(error)})` : '';
    const why = theirs.includes('no authority') ? ': --agent-ca has an authority of your own' : '';
    return { code, words: `its certificate ${theirs}${which}${why}` };
  }
  if (BREAKS.includes(code)) {
    const words = `it has closed the connection before its answer: it has ended, or it accepts no certificate of this side, or none but one, which its log says then; ${OWN}`;
    return { code, words };
  }
  const [, alert] = OURS.exec(code) ?? [];
  if (alert === undefined) return undefined;
  const said = alert.toLowerCase().replaceAll('_', ' ');
  const words = `it has closed the connection (${said}), as one does that accepts no certificate of this side, or none but one: its log says why; ${OWN}`;
  return { code, words };
}

/** Of a server: why it has refused a client. `shown` is Node's word on the certificate of the client. */
export function faultOfClient(error: unknown, shown: string | undefined): TlsFault {
  const theirs = shown === undefined ? undefined : THEIRS[shown];
  if (shown !== undefined && theirs !== undefined)
    return { code: shown, words: `the client's certificate ${theirs}` };
  const code = codeOf(error);
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE')
    return { code, words: 'the client shows no certificate, and --tls-client-ca asks for one' };
  return { code, words: `no TLS with this client: ${messageOf(error)}` };
}

/** Node's error of a name has the certificate. */
function namesIn(error: unknown): string {
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: string } };
  return cert?.subjectaltname ?? messageOf(error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
