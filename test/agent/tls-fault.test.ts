/** Of which errors of a connection by TLS a certificate is to blame, and which end the asking. */
import { expect, it } from 'vitest';
import { faultOfServer, isFinal } from '../../src/agent/tls-fault.ts';

const error = (code: string) => Object.assign(new Error(code), { code });

it.each([
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /\(certificate required\)/, true],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /\(unknown ca\)/, true],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', /\(bad certificate\)/, true],
  ['CERT_HAS_EXPIRED', /its certificate has expired/, true],
  ['ECONNRESET', /it has ended, or it accepts no certificate/, false],
  ['EPIPE', /it has ended, or it accepts no certificate/, false],
])('%s', (code, words, isEnd) => {
  const fault = faultOfServer(error(code));
  expect(fault?.words).toMatch(words);
  expect(fault && isFinal(fault)).toBe(isEnd);
});

it.each(['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'ECONNREFUSED', ''])(
  '%s is about no certificate',
  code => expect(faultOfServer(error(code))).toBeUndefined(),
);
