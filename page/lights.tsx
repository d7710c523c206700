/** The laws of the fuzzer as lights: green, or what broke them. */
import type { LabRun } from '../src/lab/lab-types.ts';
import { visible } from '../src/railway/words.ts';

export function Lights({ run }: { readonly run: LabRun }) {
  const broken = run.lights.filter(({ breach }) => breach !== null);
  return (
    <section class="lights" aria-label="The laws">
      <p class="verdict" role="status">
        {broken.length === 0
          ? `All ${run.lights.length} laws hold`
          : `${broken.length} of ${run.lights.length} laws are broken`}
      </p>
      <ul>
        {run.lights.map(({ law, says, breach }) => (
          <li key={law} class={breach === null ? 'holds' : 'broken'} title={says}>
            <span aria-hidden="true">{breach === null ? '✓' : '✕'}</span> {law}
            {breach === null ? null : <p>{visible(breach)}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}
