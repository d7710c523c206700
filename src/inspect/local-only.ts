/**
 * What every server on this machine's loopback asks of who speaks to it: one of the server's own names, and a secret. Pure; how a
 * refusal is told is the server's.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

/** The names by which a server on loopback is asked: a name of another site may be made to lead to this machine. */
export function ownHosts(port: number | undefined): readonly string[] {
  return [`127.0.0.1:${port}`, `localhost:${port}`];
}

/** In a time that tells nothing of where they differ. */
export function isSame(given: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}
