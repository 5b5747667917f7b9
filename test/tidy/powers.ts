/**
 * Ambient powers, and the one home of each: what reaches out of the program is in few places, so that a test can
 * replace it and a reader can find it. Modules are imports that exist at run time; a type brings no power along.
 */
export type Power = {
  readonly name: string;
  readonly modules?: readonly string[];
  /** In code, outside strings and comments. */
  readonly code?: RegExp;
  /** Paths, or folders that end in a slash; none: nowhere. */
  readonly homes: readonly string[];
};

export const POWERS: readonly Power[] = [
  { name: 'sockets', modules: ['node:net', 'node:tls', 'node:dgram'], homes: ['src/net/', 'src/gate/'] },
  { name: 'sockets by another name', modules: ['node:http2', 'node:https', 'node:quic'], homes: [] },
  { name: 'requests by fetch or WebSocket', code: /\bfetch\(|\bnew (?:WebSocket|EventSource)\b/g, homes: [] },
  { name: 'HTTP', modules: ['node:http', 'fastify'], homes: ['src/admin/'] },
  { name: 'requests by HTTP', modules: ['undici'], homes: ['src/cli/', 'src/filters/', 'src/facts/'] },
  {
    name: 'files',
    modules: ['node:fs', 'node:fs/promises'],
    // A socket is a file, too, where Node's own reading of it is over.
    homes: ['src/spool/', 'src/config/', 'src/admin/', 'src/net/in_place.ts'],
  },
  { name: 'threads', modules: ['node:worker_threads', 'piscina', 'node:cluster'], homes: ['src/gate/'] },
  { name: 'processes', modules: ['node:child_process'], homes: [] },
  {
    name: 'output',
    modules: ['pino', 'node:console'],
    code: /\bconsole\s*\.|\bprocess\s*\.\s*(?:stdout|stderr|stdin)\b/g,
    homes: ['src/telemetry/'],
  },
  {
    name: 'the clock',
    code: /\bDate\s*\.\s*now\b|\bperformance\s*\.\s*(?:now|time\w+)\b|\bnew Date\(\s*\)|(?<!new )\bDate\(|\bhrtime\b/g,
    homes: ['src/base/clock.ts'],
  },
  {
    name: 'chance',
    code: /\bMath\s*\.\s*random\b|\brandom(?:Bytes|UUID|Int|FillSync|Fill)\b|\bgetRandomValues\b/g,
    homes: ['src/base/'],
  },
  { name: 'the environment', code: /\bprocess\s*\.\s*(?:env|argv)\b/g, homes: ['src/config/'] },
  {
    name: "the resolver of the system (it blocks libuv's threads)",
    modules: ['node:dns', 'node:dns/promises'],
    homes: [],
  },
  {
    name: 'native code',
    modules: ['node:module'],
    code: /\bprocess\s*\.\s*dlopen\b|\bcreateRequire\b|\brequire\(/g,
    homes: ['src/base/addon.ts', 'src/base/lazy.ts'],
  },
  { name: 'code from text', modules: ['node:vm'], code: /\beval\(|\bnew Function\(/g, homes: [] },
  {
    name: 'the end of the process',
    code: /\bprocess\s*\.\s*(?:exit|kill|abort|exitCode)\b/g,
    homes: ['src/gate/', 'src/postern.ts'],
  },
];

/** Folders that read files and never write them: what they may take from node:fs. */
export const READERS: readonly string[] = ['src/config/', 'src/admin/'];
export const READING =
  /^(?:read\w+|stat\w*|lstat\w*|access\w*|exists\w*|realpath\w*|constants|opendir\w*|createReadStream)$/;
