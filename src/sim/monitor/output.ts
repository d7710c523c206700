/** What QEMU has written to its standard output: the newest of it, for tests to look at. */

export interface Output {
  print(text: string): void;
  printed(): string;
}

const KEPT_MAX = 1_048_576;

export function createOutput(): Output {
  let kept = '';
  return {
    print(text) {
      kept = (kept + text).slice(-KEPT_MAX);
    },
    printed: () => kept,
  };
}
