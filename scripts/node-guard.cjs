// Says in one line which Node is needed, in syntax that every Node can read, before anything newer is loaded.
'use strict';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(
    `blocksaga needs Node >= 22.13, this is ${process.versions.node}. In a checkout, "npm ci" brings one along.`,
  );
  process.exit(1);
}
