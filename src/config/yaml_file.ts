/** A YAML file as plain values, and the line of each place in it: whoever finds a fault says where it is. */
import { readFileSync, statSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';

export type Place = readonly (string | number)[];
export type FileFault = { readonly path: Place; readonly message: string };

export type YamlFile = {
  readonly value: unknown;
  /** From 1; 0 where the place is not in the file. */
  lineOf(place: Place): number;
};

const FILE_BYTES_MAX = 4 << 20;
/** Faults beyond are not told: who has so many mends the first ones first. */
const FAULTS_MAX = 50;

/** One line a fault, each with file, line and place. */
export function describeFaults(file: string, yaml: YamlFile, faults: readonly FileFault[]): readonly string[] {
  const lines = faults.slice(0, FAULTS_MAX).map(({ path, message }) => {
    const line = yaml.lineOf(path);
    const place = path.length === 0 ? '' : `${path.join('.')}: `;
    return `${file}${line === 0 ? '' : `:${line}`}: ${place}${message}`;
  });
  return faults.length > FAULTS_MAX ? [...lines, `${file}: ${faults.length - FAULTS_MAX} further faults`] : lines;
}

/** Comes back as faults where the file cannot be read or is no YAML. */
export function readYaml(file: string): YamlFile | { readonly faults: readonly string[] } {
  let text: string;
  try {
    text = readBounded(file);
  } catch (error) {
    return {
      faults: [`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`],
    };
  }
  return parseYaml(file, text);
}

function readBounded(file: string): string {
  const entry = statSync(file);
  if (!entry.isFile()) throw new Error('not a file');
  if (entry.size > FILE_BYTES_MAX) throw new Error(`more than ${FILE_BYTES_MAX} bytes`);
  return readFileSync(file, 'utf8');
}

export function parseYaml(file: string, text: string): YamlFile | { readonly faults: readonly string[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true });
  if (document.errors.length > 0) {
    return {
      faults: document.errors
        .slice(0, FAULTS_MAX)
        .map(({ pos, message }) => `${file}:${lines.linePos(pos[0]).line}: ${bare(message)}`),
    };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { faults: [`${file}: ${bare((error as Error).message)}`] };
  }
  return { value, lineOf: (place) => lineAt(document.contents, place, lines) };
}

/** Behind a colon the parser repeats what stands in the file, and that may be a password without its quotes. */
const bare = (message: string): string => message.split(': ', 1)[0]!;

/** Of the deepest node on the way to the place that is there: a key that is missing is told at its parent. */
function lineAt(root: unknown, place: Place, lines: LineCounter): number {
  let node = root;
  let offset = 0;
  for (const step of place) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (isScalar(pair?.key)) offset = pair.key.range?.[0] ?? offset;
      next = pair?.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      offset = (next as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset;
    }
    if (next === undefined || next === null) break;
    node = next;
  }
  return lines.linePos(offset).line;
}
