/**
 * How drawings look, in light and in dark. State is never told by colour alone: a step that failed is a square with a cross, one
 * that was undone a ring with its number, one to come an empty ring. Blue, amber and raspberry stay apart for eyes that do not
 * tell red from green.
 */

const LIGHT = {
  ground: '#ffffff',
  raised: '#f5f7f9',
  ink: '#18212b',
  muted: '#5a6875',
  faint: '#c6ced6',
  line: '#dfe4e9',
  done: '#1b5fa6',
  'done-tint': '#e6f0fa',
  back: '#a35a00',
  'back-tint': '#fdf3e3',
  failed: '#b0124a',
  'failed-tint': '#fcebf1',
  gate: '#4f46b8',
  band: '#efeffb',
};

const DARK: typeof LIGHT = {
  ground: '#11161c',
  raised: '#1a212a',
  ink: '#e7ecf1',
  muted: '#98a5b3',
  faint: '#44505d',
  line: '#28313b',
  done: '#74b3f5',
  'done-tint': '#172a40',
  back: '#eda852',
  'back-tint': '#33260f',
  failed: '#ff7fa6',
  'failed-tint': '#3a1524',
  gate: '#aea8ff',
  band: '#1d2036',
};

/** The names of the colours, as a stylesheet; the page asks for the same. */
export function coloursOf(selector: string): string {
  const told = (colours: typeof LIGHT) =>
    Object.entries(colours)
      .map(([name, value]) => `--${name}:${value}`)
      .join(';');
  return `${selector}{${told(LIGHT)}}@media (prefers-color-scheme:dark){${selector}{${told(DARK)}}}`;
}

const SANS = `Inter,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif`;
const MONO = `"JetBrains Mono","SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace`;

/** The rules of the drawing, for the file and for the page. */
export const DRAWING = `
.railway text{font-family:${SANS};fill:var(--ink);font-size:12px}
.railway .mono{font-family:${MONO}}
.railway .ground,.railway text.ground{fill:var(--ground)}
.railway .title{font-size:21px;font-weight:650;letter-spacing:-.01em}
.railway .sentence{font-size:14.5px}
.railway .h{font-size:14px;font-weight:650}
.railway .strong{font-weight:650}
.railway .muted{fill:var(--muted)}
.railway .small{font-size:11px}
.railway .tiny{font-size:9px}
.railway .note{font-size:12.5px}
.railway .phase{font-size:10.5px;fill:var(--muted);letter-spacing:.07em}
.railway .t-live,.railway .t-done{fill:var(--done)}
.railway .t-back{fill:var(--back)}
.railway .t-stuck,.railway .t-failed{fill:var(--failed)}
.railway .t-gate{fill:var(--gate)}
.railway .pill-live,.railway .pill-done{fill:var(--done-tint)}
.railway .pill-back{fill:var(--back-tint)}
.railway .pill-stuck{fill:var(--failed-tint)}
.railway .band{fill:var(--band)}
.railway .rule{stroke:var(--line);stroke-width:1}
.railway .rail{stroke-width:4;stroke-linecap:round;fill:none}
.railway .thin{stroke-width:2.5}
.railway .r-ahead{stroke:var(--faint)}
.railway .r-done{stroke:var(--done)}
.railway .r-back{stroke:var(--back)}
.railway .r-failed{stroke:var(--failed)}
.railway .r-would{stroke:var(--faint);stroke-width:2.5;stroke-dasharray:.1 7}
.railway .gate{stroke:var(--gate);stroke-width:2;stroke-dasharray:5 4}
.railway .gate-open{stroke:var(--gate);stroke-width:2}
.railway .s{stroke-width:3;fill:var(--ground)}
.railway .s-ahead{stroke:var(--faint)}
.railway .s-done{stroke:var(--done);fill:var(--done)}
.railway .s-current{stroke:var(--done)}
.railway .s-core{fill:var(--done);stroke:none}
.railway .s-halo{fill:var(--done);opacity:.16;stroke:none}
.railway .s-left{stroke:var(--back)}
.railway .s-stopped{stroke:var(--failed);stroke-dasharray:3 2.4}
.railway .s-failed{stroke:var(--failed);fill:var(--failed)}
.railway .s-back{stroke:var(--back)}
.railway .s-backnow{stroke:var(--back);fill:var(--back)}
.railway .s-gate{stroke:var(--gate)}
.railway .cross{stroke:var(--ground);stroke-width:2.2;stroke-linecap:round}
.railway .s.small-sign{stroke-width:2}
.railway .cross.small-sign{stroke-width:1.6}
.railway .scar{stroke:var(--failed);stroke-width:2.2;fill:none;stroke-linejoin:round;stroke-linecap:round}
.railway .tear-gap{stroke:var(--ground);stroke-width:9;fill:none;stroke-linejoin:round}
.railway .tear{stroke:var(--failed);stroke-width:2.6;fill:none;stroke-linejoin:round;stroke-linecap:round}
.railway .leader{stroke:var(--failed);stroke-width:1;stroke-dasharray:1.5 3}
.railway .attempt-done{fill:var(--done)}
.railway .attempt-open{fill:var(--ground);stroke:var(--done);stroke-width:1.6}
.railway .gap{stroke:var(--ground);stroke-width:5}
.railway .gapline{stroke:var(--muted);stroke-width:1.5}
.railway .box{fill:var(--raised);stroke:var(--faint);stroke-width:1.3}
.railway .box-on{fill:var(--done-tint);stroke:var(--done);stroke-width:2}
.railway .box-unsure{fill:var(--failed-tint);stroke:var(--failed);stroke-width:1.6;stroke-dasharray:2 3}
.railway .box-old{fill:none;stroke:var(--faint);stroke-width:1.3}
.railway .box-new{fill:none;stroke:var(--muted);stroke-width:1.3;stroke-dasharray:4 3.5}
.railway .box-gone{fill:none;stroke:var(--back);stroke-width:1.3;stroke-dasharray:4 3.5}
.railway .box-failed{fill:none;stroke:var(--failed);stroke-width:1.6;stroke-dasharray:4 3.5}
.railway .link{stroke:var(--muted);stroke-width:1.4;fill:none}
.railway .would{stroke-dasharray:4 3.5}
.railway .arrow{stroke:var(--muted);stroke-width:1.4;fill:none;stroke-dasharray:3 3}
.railway .head{fill:var(--muted)}
.railway .head-back{fill:var(--back)}
.railway .bar{fill:var(--line)}
.railway .filled{fill:var(--done)}
.railway .callout{fill:var(--failed-tint);stroke:none}
`;
