/** The ways in which a listener may fail; the last is a promise that is none of this realm's. */

export const thrown = new Error('theirs');

export const WAYS: Readonly<Record<string, () => unknown>> = {
  throws: () => {
    throw thrown;
  },
  rejects: () => Promise.reject(thrown),
  'gives a thenable that rejects': () => Reflect.construct(Thenable, []),
};

class Thenable {
  // biome-ignore lint/suspicious/noThenProperty: that is the case
  then(_: unknown, reject: (error: unknown) => void): void {
    reject(thrown);
  }
}
