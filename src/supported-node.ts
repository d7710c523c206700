/**
 * Says which Node is needed before anything of a newer one is used: each public entry imports it first. It must import nothing, and
 * what an older Node has not (`node:sqlite`) must not be imported statically anywhere, or that error comes before this one.
 */

const node = typeof process === 'undefined' ? undefined : process.versions?.node;
const [major = 0, minor = 0] = (node ?? '').split('.').map(Number);
if (node !== undefined && (major < 22 || (major === 22 && minor < 13))) {
  throw new Error(`blocksaga needs Node >= 22.13, this is ${node}: run this program with a newer Node`);
}
