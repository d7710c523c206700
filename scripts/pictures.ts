/** Writes the pictures of docs/pictures anew. A test says when that is due. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { svgOf } from '../src/railway/draw.ts';
import { sceneAt } from '../src/railway/scene.ts';
import { STORIES } from './picture-stories.ts';

const FOLDER = join(import.meta.dirname, '../docs/pictures');

mkdirSync(FOLDER, { recursive: true });
for (const [name, story] of Object.entries(STORIES)) {
  writeFileSync(join(FOLDER, `${name}.svg`), svgOf(sceneAt(await story())));
}
