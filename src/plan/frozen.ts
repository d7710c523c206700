/** Plain data that is handed out and worked with: nothing of it can be changed, at any depth. It makes no copies. */

export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}
