/** The laws of the fuzzer as lights: green, or what broke them. */
import type { LabRun } from '../src/lab/lab-types.ts';
import { visible } from '../src/railway/words.ts';

export function Lights({ run }: { readonly run: LabRun }) {
  const isJudged = run.lights.every(light => light.isJudged);
  const broken = run.lights.filter(({ breach }) => breach !== null);
  return (
    <section class="lights" aria-label="The laws">
      <p class="verdict" role="status">
        {!isJudged
          ? `${run.lights.length} laws: judged when the run is over`
          : broken.length === 0
            ? `All ${run.lights.length} laws hold`
            : `${broken.length} of ${run.lights.length} laws are broken`}
      </p>
      <ul>
        {run.lights.map(({ law, says, breach }) => (
          <li key={law} class={breach !== null ? 'broken' : isJudged ? 'holds' : 'open'} title={says}>
            <span aria-hidden="true">{breach !== null ? '✕' : isJudged ? '✓' : '○'}</span> {law}
            {breach === null ? null : <p>{visible(breach)}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}
