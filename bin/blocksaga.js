#!/usr/bin/env node
// The command's entry: checks the Node version in old syntax, then loads the program.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(`blocksaga needs Node >= 22.13, this is ${process.versions.node}.`);
  process.exit(2);
}
try {
  await import('../dist/command/main.js');
} catch (error) {
  // A checkout that is not built has no dist; what a built one lacks is another error.
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !error.url?.endsWith('/dist/command/main.js')) throw error;
  console.error('blocksaga is not built in this checkout: run "npm run build" there first.');
  process.exit(2);
}
