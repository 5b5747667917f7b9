/**
 * What the tidy rules look at: every TypeScript file of ours, taken apart just far enough. Strings and comments are
 * told from code by one pass over the characters; all else is regular expressions over the code that is left. Biome's
 * format is relied on where it helps: a declaration's last line has the indentation of its first.
 *
 *   text     const a = 'b'; // c
 *   code     const a = ' ';          same length, so that an index means the same in both
 *   strings  [{ at: 10, text: 'b' }]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export type Literal = {
  /** Index of its opening quote. */
  readonly at: number;
  /** As written, escapes and all; a template's parts are literals each. */
  readonly text: string;
};

export type Import = {
  /** As written: `node:fs`, `../base/assert.ts`. */
  readonly module: string;
  /** Nothing of it is there when the program runs. */
  readonly typeOnly: boolean;
  /** Names as they are in the module; `*` for all of them. */
  readonly names: readonly string[];
};

export type Source = {
  /** From the root of the repository, `src/base/ids.ts`. */
  readonly path: string;
  readonly text: string;
  readonly code: string;
  readonly strings: readonly Literal[];
  readonly imports: readonly Import[];
};

/** Installed, made, or not ours to look into. */
const ELSEWHERE = /^(?:node_modules|build|var|\.git)$/;

/** All files below `folder` (from the root, '' for itself) whose name ends in one of `endings`. */
export function filesBelow(folder: string, endings: readonly string[]): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return ELSEWHERE.test(entry.name) ? [] : filesBelow(path, endings);
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
    })
    .sort();
}

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export function parse(path: string, text: string): Source {
  const { code, strings } = lex(text);
  return { path, text, code, strings, imports: importsOf(code, strings) };
}

/** The line of an index, from 1. */
export const lineOf = ({ text }: Source, at: number): number => text.slice(0, at).split('\n').length;

/** The path of a relative import, from the root; null for a package. */
export const resolved = ({ path }: Source, module: string): string | null =>
  module.startsWith('.') ? join(dirname(path), module) : null;

/** Each match of `pattern` in code, as `path:line: match`. */
export function findInCode(source: Source, pattern: RegExp): string[] {
  return [...source.code.matchAll(pattern)].map((match) => at(source, match.index, match[0].trim()));
}

export const at = (source: Source, index: number, what: string): string =>
  `${source.path}:${lineOf(source, index)}: ${what}`;

/** After one of these a slash begins a regular expression, else it divides. */
const BEFORE_REGEX =
  /(?:^|[([{,;:=!&|?+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))\s*$/;

function lex(text: string): { code: string; strings: Literal[] } {
  const out: string[] = [];
  const strings: Literal[] = [];
  /** Open `${` of templates: how many braces are open inside each. */
  const templates: number[] = [];
  let at = 0;
  const blank = (to: number): void => {
    out.push(text.slice(at, to).replace(/[^\n]/g, ' '));
    at = to;
  };
  const literal = (from: number, end: number, closes: number): void => {
    strings.push({ at: from, text: text.slice(from + 1, end) });
    out.push(text[from] as string);
    at = from + 1;
    blank(end);
    out.push(text.slice(end, end + closes));
    at = end + closes;
  };
  while (at < text.length) {
    const char = text[at] as string;
    const two = text.slice(at, at + 2);
    if (two === '//') blank(orEnd(text, text.indexOf('\n', at)));
    else if (two === '/*') blank(orEnd(text, text.indexOf('*/', at)) + 2);
    else if (char === "'" || char === '"') literal(at, endOfQuoted(text, at), 1);
    else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop();
      const end = endOfTemplatePart(text, at);
      const opens = text[end] === '$';
      literal(at, end, opens ? 2 : 1);
      if (opens) templates.push(0);
    } else if (char === '/' && BEFORE_REGEX.test(out.join('').slice(-40))) blank(endOfRegex(text, at));
    else {
      const depth = templates.length - 1;
      if (depth >= 0 && char === '{') templates[depth] = (templates[depth] as number) + 1;
      if (depth >= 0 && char === '}') templates[depth] = (templates[depth] as number) - 1;
      out.push(char);
      at++;
      if (out.length > 4096) out.splice(0, out.length, out.join(''));
    }
  }
  return { code: out.join(''), strings };
}

const orEnd = (text: string, index: number): number => (index === -1 ? text.length : index);

function endOfQuoted(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== text[from] && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** The index of the closing backtick, or of the `$` of `${`. */
function endOfTemplatePart(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '`' && !text.startsWith('${', at)) at += text[at] === '\\' ? 2 : 1;
  return at;
}

function endOfRegex(text: string, from: number): number {
  let at = from + 1;
  for (let inClass = false; at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/'); at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '[') inClass = true;
    else if (text[at] === ']') inClass = false;
  }
  return at + 1;
}

function importsOf(code: string, strings: readonly Literal[]): Import[] {
  const moduleAt = (end: number): string => strings.find(({ at }) => at === end - 1)?.text ?? '';
  const found: Import[] = [];
  for (const match of code.matchAll(/\b(?:import|export)\s+(type\s+)?([\w*{},\s$]*?)\s*\bfrom\s*['"]/g)) {
    const module = moduleAt(match.index + match[0].length);
    const words = (match[2] as string).replace(/[{}]/g, ',').split(',');
    const names = words.map((word) => word.trim()).filter((word) => word !== '');
    const typeOnly = match[1] !== undefined || (names.length > 0 && names.every((name) => name.startsWith('type ')));
    found.push({ module, typeOnly, names: names.map((name) => name.replace(/^type /, '').replace(/ as .*$/, '')) });
  }
  for (const match of code.matchAll(/\bimport\s*\(?\s*['"]/g)) {
    found.push({ module: moduleAt(match.index + match[0].length), typeOnly: false, names: ['*'] });
  }
  return found;
}

export type Declared = { readonly line: number; readonly lines: number; readonly name: string };

const NO_FUNCTION = /^\s*(?:if|for|while|switch|catch|do|else|try|return|throw|new|describe|test|suite|it)\b/;
/** A function, an arrow with a block, or a method. */
const HEADS = [/\bfunction\b/, /=> \{$/, /^\s*(?:(?:static|async|get|set|override) )*[*#\w]+(?:<.*>)?\(/];

/** Functions with a block, and how long they are from their first line to the brace that closes them. */
export function functionsOf(source: Source): Declared[] {
  const lines = source.code.split('\n').map((line) => line.trimEnd());
  const shown = source.text.split('\n');
  const found: Declared[] = [];
  for (const [index, line] of lines.entries()) {
    if (NO_FUNCTION.test(line) || !HEADS.some((head) => head.test(line))) continue;
    const indent = /^ */.exec(line)?.[0] ?? '';
    const sameIndent = (from: number): number =>
      lines.findIndex((other, at) => at > from && other.startsWith(indent) && /^[^ ]/.test(other.slice(indent.length)));
    // Parameters on lines of their own: the head ends where `) … {` is.
    const head = line.endsWith('{') ? index : line.endsWith('(') ? sameIndent(index) : -1;
    if (head === -1 || (head !== index && !/^ *\).*\{$/.test(lines[head] ?? ''))) continue;
    const end = sameIndent(head);
    if (end !== -1) found.push({ line: index + 1, lines: end - index + 1, name: (shown[index] ?? '').trim() });
  }
  return found;
}

const sourcesOf = (folder: string): Source[] =>
  filesBelow(folder, ['.ts', '.mjs']).map((path) => parse(path, readText(path)));

/** Read once for each test file. */
export const SRC: readonly Source[] = sourcesOf('src');
export const ALL: readonly Source[] = [...SRC, ...['bench', 'native', 'test'].flatMap(sourcesOf)];
