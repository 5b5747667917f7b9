/** The rules: sources in, faults out, each a line that says where and what. Pure, so each is tried on bad code. */
import { folderOf, LAYERS, PURE, SHARED_TYPES } from './layers.ts';
import { POWERS, READERS, READING } from './powers.ts';
import type { Source } from './source.ts';
import { at, findInCode, functionsOf, resolved } from './source.ts';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const LINE_CHARS_MAX = 120;

type Rule = (source: Source) => string[];

export const layers: Rule = (source) => {
  const own = folderOf(source.path);
  const layer = LAYERS[own];
  if (layer === undefined) return [`${source.path}: ${own} has no layer`];
  return source.imports.flatMap(({ module, typeOnly }) => {
    const target = resolved(source, module);
    if (target === null) return [];
    const folder = folderOf(target);
    const below = LAYERS[folder];
    if (below === undefined) return [`${source.path}: imports ${target}, which is outside src or has no layer`];
    const shared = typeOnly && target === SHARED_TYPES && below <= layer;
    return folder === own || below < layer || shared ? [] : [`${source.path} (${layer}): imports ${target} (${below})`];
  });
};

export const powers: Rule = (source) =>
  POWERS.flatMap(({ name, modules = [], code, homes }) => {
    if (homes.some((home) => source.path === home || (home.endsWith('/') && source.path.startsWith(home)))) return [];
    const imported = source.imports.filter(({ module, typeOnly }) => !typeOnly && modules.includes(module));
    return [
      ...imported.map(({ module }) => `${source.path}: ${module}: ${name}`),
      ...(code === undefined ? [] : findInCode(source, code).map((fault) => `${fault}: ${name}`)),
    ];
  });

export const readers: Rule = (source) => {
  if (!READERS.some((folder) => source.path.startsWith(folder))) return [];
  const taken = source.imports.filter(({ module, typeOnly }) => !typeOnly && module.startsWith('node:fs'));
  const names = taken.flatMap((each) => each.names).filter((name) => !READING.test(name));
  return names.map((name) => `${source.path}: ${name} of node:fs writes, or may`);
};

export const purity: Rule = (source) => {
  if (!PURE.includes(folderOf(source.path))) return [];
  const modules = source.imports.filter(({ module }) => module.startsWith('node:'));
  return [
    ...modules.map(({ module }) => `${source.path}: imports ${module}`),
    ...findInCode(source, /\b(?:await|async|yield)\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/g),
    ...findInCode(source, /\bnew Promise\b|\bprocess\s*\.|\bBuffer\s*\./g),
  ];
};

/** Tables for people may name a reply; what the wire carries may not stand anywhere else. */
const DESCRIBING: readonly string[] = ['src/smtp/replies.ts', 'src/config/limits.ts', 'src/config/options.ts'];
const REPLY_TEXT = /(?:^|\\n|\n)[2-5]\d\d[ -](?:\S|$)/;

export const replyText: Rule = (source) =>
  DESCRIBING.includes(source.path)
    ? []
    : source.strings
        .filter(({ text }) => REPLY_TEXT.test(text))
        .map((literal) => at(source, literal.at, `'${literal.text}' looks like a reply`));

const NAME = /^[a-z0-9]+(?:_[a-z0-9]+)*(?:\.test)?\.(?:ts|mjs)$/;
/** They say nothing, so everything ends up there. */
const EMPTY_WORDS: ReadonlySet<string> = new Set(
  'util utils helper helpers manager data info misc common types shared stuff handler handlers'.split(' '),
);

export const fileName: Rule = ({ path }) => {
  const name = path.split('/').at(-1) as string;
  const words = name.replace(/(?:\.test)?\.\w+$/, '').split('_');
  return [
    ...(NAME.test(name) ? [] : [`${path}: is not snake_case`]),
    ...words.filter((word) => EMPTY_WORDS.has(word)).map((word) => `${path}: "${word}" says nothing`),
  ];
};

/** What is large for a reason says so: `// Large: …` on a file's first line, or on the line above a function. */
const LARGE = /^\s*\/\/ Large: \S.{9,}/;

export const sizes: Rule = (source) => {
  const lines = source.text.replace(/\n$/, '').split('\n');
  const faults: string[] = [];
  if (lines.length > FILE_LINES_MAX && !LARGE.test(lines[0] as string))
    faults.push(`${source.path}: ${lines.length} lines`);
  for (const [index, line] of lines.entries()) {
    // A long string or link has no place to break.
    const breakable =
      line.trim().split(/\s+/).length > 2 && !/https?:\/\/\S{60}|^\s*(?:why: )?['"`].*['"`],?$/.test(line);
    if (line.length > LINE_CHARS_MAX && breakable)
      faults.push(`${source.path}:${index + 1}: ${line.length} characters`);
  }
  for (const declared of functionsOf(source)) {
    if (declared.lines <= FUNCTION_LINES_MAX || LARGE.test(lines[declared.line - 2] ?? '')) continue;
    faults.push(`${source.path}:${declared.line}: ${declared.lines} lines: ${declared.name}`);
  }
  return faults;
};

export const contract: Rule = ({ path, text }) =>
  /^(?:#!.*\n)?(?:\/\/ Large: .*\n)?\/\*\*(?: *|\n \* )\S/.test(text)
    ? []
    : [`${path}: does not open with what it is for`];

export const leftovers: Rule = (source) => [
  ...[...source.text.matchAll(/\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/g)].map((match) =>
    at(source, match.index, match[0]),
  ),
  ...[...source.text.matchAll(/@ts-(?:ignore|expect-error|nocheck)|biome-(?:ignore)/g)]
    .filter(
      (match) =>
        !source.text.slice(match.index).startsWith(`${match[0]} lint/`) || !/: \S/.test(lineAt(source, match.index)),
    )
    .map((match) => at(source, match.index, `${match[0]}: say the rule and the reason, or mend it`)),
];

const lineAt = ({ text }: Source, index: number): string => text.slice(index).split('\n', 1)[0] as string;

export function citations(source: Source, listed: ReadonlySet<number>): string[] {
  return [...source.text.matchAll(/\bRFC ?(\d{3,5})\b/g)]
    .filter((match) => !listed.has(Number(match[1])))
    .map((match) => at(source, match.index, `RFC ${match[1]} is not listed in src/smtp/rfcs.ts`));
}

/** Files reached from `entries` by imports, and by literals that name a file beside them (workers, child processes). */
export function reached(sources: readonly Source[], entries: readonly string[]): Set<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const seen = new Set<string>();
  const next = entries.filter((path) => byPath.has(path));
  for (let path = next.pop(); path !== undefined; path = next.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const source = byPath.get(path) as Source;
    const named = source.strings.flatMap(({ text }) => (/^[\w./]+\.(?:ts|mjs)$/.test(text) ? [text] : []));
    for (const module of [...source.imports.map((each) => each.module), ...named]) {
      const target = resolved(source, module.startsWith('.') ? module : `./${module}`) as string;
      if (byPath.has(target)) next.push(target);
      else if (byPath.has(module)) next.push(module);
    }
  }
  return seen;
}

export type Exported = { readonly path: string; readonly name: string };

/** Values only: a type that is part of an exported signature may well be said by nobody else. */
export function exportsOf({ path, code }: Source): Exported[] {
  const declared = code.matchAll(
    /^export (?:default )?(?:abstract )?(?:async )?(?:const|let|function\*?|class) (\w+)/gm,
  );
  return [...declared].map((match) => ({ path, name: match[1] as string }));
}

/** Exported values that no other file speaks of. */
export function unusedExports(exporting: readonly Source[], all: readonly Source[]): string[] {
  const words = new Map(all.map(({ path, code }) => [path, new Set(code.match(/\w+/g))]));
  return exporting
    .flatMap(exportsOf)
    .filter(({ path, name }) => !all.some((other) => other.path !== path && words.get(other.path)?.has(name)))
    .map(({ path, name }) => `${path}: nobody uses ${name}`);
}
