/**
 * A result as one page that needs nothing else: no script, no font, no file, no network. Ratios first, then charts and
 * tables with their spread, how it was measured, and in the end every figure of every round.
 */
import { barsSvg, ratiosSvg } from './charts.ts';
import { WARMING } from './measure/warm.ts';
import type { Result, ScenarioResult } from './result.ts';

const STYLE = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2330; --soft: #5b6475; --line: #d8dce4; --own: #1f6feb;
  --other: #9aa5b8; --bad: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171d; --ink: #e4e7ee; --soft: #a0a8b8; --line: #363c48; --own: #5b9dff; --other: #667085;
    --bad: #ff8a7a; }
}
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
.wide { overflow-x: auto; } svg { width: 100%; min-width: 40rem; height: auto; font-size: 12px; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .75rem 0 .25rem; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem .25rem 0; text-align: right;
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, .words td { text-align: left; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; } .soft, dd { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; } figure { margin: 1rem 0; } figcaption { font-weight: 600; }
summary { cursor: pointer; margin-top: 1rem; }
`;

const METHOD = [
  'Source, relay and sink are processes of their own, on loopback of one machine: they share its CPUs. "direct" is ' +
    'the same load without a relay, the ceiling of what source and sink can do here.',
  'A rate is end to end: distinct messages at the sink, from the first connect until the last has come. Each has a ' +
    'checksum; one that was answered 250 and did not come, or came altered, voids the figures.',
  'Those that are compared take turns within each round, and a ratio is of figures from the same round. Figures are ' +
    'medians over the rounds with (least-most).',
  WARMING,
  'CPU time is that of all the processes of a relay, those that have ended included. Ratios hold from machine to ' +
    'machine better than rates and times do.',
];

export function pageOf(result: Result): string {
  const { scenarios, ...facts } = result;
  return sayable(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Postern, measured</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Postern, measured</h1>
${table(
  'words',
  '',
  [],
  Object.entries(facts).map(([name, value]) => [name, String(value)]),
)}
${scenarios.map(section).join('')}
<h2>How it was measured</h2>
${METHOD.map((text) => `<p>${escaped(text)}</p>`).join('\n')}
</body>
</html>
`);
}

function section(scenario: ScenarioResult): string {
  const { name, question, headlines, ratios, charts, relays, tables, failures, figures } = scenario;
  const method = (['load', 'bound', 'checks'] as const).map(
    (key) => `<dt>${key}</dt><dd>${escaped(scenario[key])}</dd>`,
  );
  return `<section>
<h2>${escaped(name)}</h2>
<p>${escaped(question)}</p>
${failures.map((failure) => `<p class="bad">FAILED: ${escaped(failure)}</p>`).join('\n')}
<ul>${headlines.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul>
${picture('Ratios, median and spread over the rounds', ratiosSvg(ratios))}
${charts.map((chart) => picture(`${chart.title}, ${chart.unit}`, barsSvg(chart))).join('')}
${relays.length === 0 ? '' : relayTable(relays)}
${tables.map(({ title, columns, rows }) => table('', title, columns, rows)).join('\n')}
<dl>${method.join('')}</dl>
<details><summary>Every figure</summary>
${ratioTable(ratios)}
${charts.map(chartTable).join('\n')}
${figureTables(figures)}
</details>
</section>
`;
}

const SPREAD = ['median', 'least', 'most'];

type Spread = { readonly name: string } & Pick<ScenarioResult['ratios'][number], 'median' | 'least' | 'most'>;
const spreadRow = ({ name, median, least, most }: Spread): string[] => [name, ...[median, least, most].map(String)];

const relayTable = (relays: ScenarioResult['relays']): string =>
  table(
    'words',
    'Who was measured',
    ['', 'version', 'what is done for a message before its 250'],
    relays.map(({ name, version, durability }) => [name, version, durability]),
  );

const chartTable = ({ title, unit, bars }: ScenarioResult['charts'][number]): string =>
  table('', `${title}, ${unit}`, ['', ...SPREAD], bars.map(spreadRow));

function ratioTable(ratios: ScenarioResult['ratios']): string {
  const rows = ratios.map((ratio) => [...spreadRow(ratio), ratio.better]);
  return rows.length === 0 ? '' : table('', 'Ratios', ['', ...SPREAD, 'better is'], rows);
}

function picture(title: string, svg: string): string {
  if (svg === '') return '';
  const named = svg.replace('<svg', `<svg role="img" aria-label="${escaped(title)}"`);
  return `<figure><figcaption>${escaped(title)}</figcaption><div class="wide">${named}</div></figure>\n`;
}

type Figures = ScenarioResult['figures'];
type Leaf = string | number | boolean | null;

/** Lists of records as tables of their own; what is in none is told by its path. */
function figureTables(figures: Figures, title = 'Figures'): string {
  if (isRecords(figures)) {
    const rows = figures.map((one) => new Map(leaves(one)));
    const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
    const cells = rows.map((row) => columns.map((column) => (row.has(column) ? String(row.get(column)) : '')));
    return table('', title, columns, cells);
  }
  const entries = isRecord(figures) ? Object.entries(figures) : [['', figures] as const];
  const single = entries.filter(([, value]) => !isRecords(value)).flatMap(([path, value]) => leaves(value, path));
  const rows = single.map(([path, leaf]) => [path, String(leaf)]);
  const lists = entries.filter(([, value]) => isRecords(value)).map(([name, list]) => figureTables(list, name));
  return [...(rows.length === 0 ? [] : [table('', title, ['', 'value'], rows)]), ...lists].join('\n');
}

const isRecords = (figures: Figures): figures is Figures[] =>
  Array.isArray(figures) && figures.length > 0 && figures.every(isRecord);

const isRecord = (figures: Figures): figures is Record<string, Figures> =>
  typeof figures === 'object' && figures !== null && !Array.isArray(figures);

function leaves(figures: Figures, path = ''): [string, Leaf][] {
  if (typeof figures !== 'object' || figures === null) return [[path, figures]];
  return Object.entries(figures).flatMap(([key, value]) => leaves(value, path === '' ? key : `${path}.${key}`));
}

function table(kind: string, title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, texts: readonly string[]): string =>
    `<tr>${texts.map((text) => `<${tag}>${escaped(text)}</${tag}>`).join('')}</tr>`;
  const caption = title === '' ? '' : `<caption>${escaped(title)}</caption>`;
  const head = columns.length === 0 ? '' : `<thead>${cells('th', columns)}</thead>`;
  const body = rows.map((row) => cells('td', row)).join('\n');
  return `<div class="wide"><table class="${kind}">${caption}${head}<tbody>\n${body}\n</tbody></table></div>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char] as string);

/** Characters that no document may hold (XML 1.0, 2.2) become a mark. */
const sayable = (page: string): string =>
  page.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/gu, '\ufffd');
