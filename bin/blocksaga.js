#!/usr/bin/env node
// The command's entry: checks the Node version in old syntax, then loads the program.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(`blocksaga needs Node >= 22.13, this is ${process.versions.node}.`);
  process.exit(2);
}
await import('../dist/cli/main.js');
