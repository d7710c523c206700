/** Times, sizes and names as people read them, and text from elsewhere made harmless. Pure; also for browsers. */

/** `98 ms`, `11.9 s`, `4 min 12 s`, `2 h 3 min`. */
export function durationInWords(ms: number): string {
  if (ms < 0.05) return '< 0.1 ms';
  if (ms < 9.95) return `${Math.round(ms * 10) / 10} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const DATE = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });

/** `2026-11-21 01:30:26 UTC`. */
export function dateInWords(epochMs: number): string {
  return `${DATE.format(epochMs)} UTC`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `21474836480` as `20 GiB`. */
export function sizeInWords(bytes: number): string {
  const { value, unit } = scaled(bytes);
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}

/** `67108864` as `64.0 MiB`: of a size that grows while it is looked at, so that its width does not jump. */
export function growingSizeInWords(bytes: number): string {
  const { value, unit } = scaled(bytes);
  return `${unit === UNITS[0] ? value : value.toFixed(1)} ${unit}`;
}

function scaled(bytes: number): { readonly value: number; readonly unit: string } {
  const place = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  return { value: bytes / 1024 ** place, unit: UNITS[place] ?? UNITS[0] };
}

/** `disk0`, `disk0 and disk2`, `disk0, disk2 and 29 more`. */
export function namesInWords(names: readonly string[], most = 3): string {
  const shown = names.length > most ? names.slice(0, most - 1) : names.slice(0, -1);
  const last = names.length > most ? `${names.length - most + 1} more` : (names.at(-1) ?? '');
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** The state `switching.pauseGuest` as `pause guest`, and an undo by its step. */
export function wordsOfStep(state: string): string {
  const words = (state.split('.').at(-1) ?? state).replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
  return words.replace(/\bqemu\b/, 'QEMU');
}

/** Over the steps that were undone, and those whose undo came to no good end. */
export function headingOfUndos(undone: readonly { readonly reached: string }[]): string {
  return undone.some(({ reached }) => reached === 'done') ? 'What was undone' : 'What was to be undone';
}

/** `1 disk`, `3 disks`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** What would hide text, turn its direction, or cannot stand in XML: written as its code. */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\uFFFE\uFFFF]/gu;

/** Text from QEMU, a file's name or an error, as one line that can do nothing but be read. */
export function visible(text: string): string {
  return text.replaceAll(
    HARMFUL,
    character => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
