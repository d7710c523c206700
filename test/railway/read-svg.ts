/** Reads back what a drawing says. It knows as much of XML as the drawings use. */

/** The texts of a drawing as a reader sees them, in the order in which they are drawn. */
export function textsIn(svg: string): readonly string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => decoded(text));
}

/** Elements that are not closed, or closed where they are not open. */
export function unclosedIn(svg: string): readonly string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, closes, name = '', alone] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (closes === '/') {
      if (open.pop() !== name) wrong.push(name);
    } else if (alone === '') open.push(name);
  }
  const rest = svg.replaceAll(/<\/?[a-z]+(?:\s[a-zA-Z0-9:-]+="[^"<>]*")*\/?>/g, '');
  return [...wrong, ...open, ...(/[<>]/.test(rest) ? ['a bracket in a text'] : [])];
}

function decoded(text: string): string {
  return text.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}
