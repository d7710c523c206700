/** One of what can be chosen, from the text of a form. */
export function chosen<W extends string>(of: readonly W[], value: string): W {
  const found = of.find(each => each === value);
  if (found === undefined) throw new Error(`${value} is not among what can be chosen`);
  return found;
}
