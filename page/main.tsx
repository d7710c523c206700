/** Starts the page: live from its server, or with the one story that was saved with it. */
import { render } from 'preact';
import type { Story } from '../src/story/story.ts';
import { App } from './app.tsx';

const root = document.getElementById('page');
const saved = document.getElementById('story')?.textContent;
const wire = document.getElementById('wire')?.textContent;
if (root !== null) {
  root.replaceChildren();
  render(
    <App saved={saved == null ? null : (JSON.parse(saved) as Story)} wire={JSON.parse(wire ?? 'null')} />,
    root,
  );
}
