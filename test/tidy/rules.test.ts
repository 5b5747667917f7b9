/** Each tidy rule on code that breaks it, and on code that only looks like it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as rules from './rules.ts';
import { functionsOf, parse } from './source.ts';

type Rule = (source: ReturnType<typeof parse>) => string[];

/** How many faults `rule` finds in `text` as a file at `path`. */
const faults = (rule: Rule, path: string, text: string): number => rule(parse(path, text)).length;

describe('parsing', () => {
  test('strings, comments, templates and regular expressions are told from code', () => {
    const text = [
      "const a = 'x // no comment'; // 'no string'",
      'const b = `p$' + '{a + `q$' + '{1}`}r`; /* `',
      "still a comment ' */ const c = /['\"`]\\/[/]'/.test(a) ? 4 / 2 / 1 : '\\'';",
    ].join('\n');
    const { code, strings } = parse('src/base/x.ts', text);
    assert.deepEqual(
      strings.map((literal) => literal.text),
      ['x // no comment', 'p', 'q', '', 'r', "\\'"],
    );
    assert.equal(code.length, text.length);
    assert.doesNotMatch(code, /comment|no string|\[/);
    assert.match(code, /4 \/ 2 \/ 1/);
  });

  test('imports of every form are seen', () => {
    const text = [
      "import type { A } from './a.ts';",
      "import { type B, type C } from './b.ts';",
      "import d, {\n  type E,\n  f as g,\n} from './d.ts';",
      "import * as h from './h.ts';",
      "import './i.ts';",
      "export { j } from './j.ts';",
      "export * from './k.ts';",
      "const l = await import('./l.ts');",
      "// import './no.ts';",
    ].join('\n');
    const { imports } = parse('src/base/x.ts', text);
    assert.deepEqual(imports.map(({ module, typeOnly }) => `${module}${typeOnly ? ' type' : ''}`).sort(), [
      './a.ts type',
      './b.ts type',
      './d.ts',
      './h.ts',
      './i.ts',
      './j.ts',
      './k.ts',
      './l.ts',
    ]);
    assert.deepEqual(imports.find(({ module }) => module === './d.ts')?.names, ['d', 'E', 'f']);
  });

  test('functions are measured from first line to brace', () => {
    const text = [
      'export function one(',
      '  a: number,',
      '): number {',
      '  if (a) {',
      '    return 1;',
      '  }',
      '  return 2;',
      '}',
      'class C {',
      '  async #two(): Promise<void> {',
      '    call();',
      '  }',
      '}',
      'const three = (x: number) => {',
      '  call(x);',
      '};',
      'if (three) {',
      '  call();',
      '}',
    ].join('\n');
    const found = functionsOf(parse('src/base/x.ts', text)).map(({ line, lines }) => [line, lines]);
    assert.deepEqual(found, [
      [1, 8],
      [10, 3],
      [14, 3],
    ]);
  });
});

describe('rules', () => {
  test('layers: upwards and sideways are faults, one shared type is none', () => {
    assert.equal(faults(rules.layers, 'src/net/x.ts', "import { a } from '../relay/a.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/net/x.ts', "import { a } from '../spool/a.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/net/x.ts', "import type { a } from '../spool/a.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/smtp/x.ts', "import { a } from '../message/envelope.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/smtp/x.ts', "import type { a } from '../message/dsn.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/base/x.ts', "import type { a } from '../message/envelope.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/base/x.ts', "import a from '../../bench/a.ts';"), 1);
    assert.equal(faults(rules.layers, 'src/cellar/x.ts', ''), 1);
    assert.equal(faults(rules.layers, 'src/smtp/x.ts', "import type { a } from '../message/envelope.ts';"), 0);
    assert.equal(faults(rules.layers, 'src/net/x.ts', "import { a } from './a.ts';\nimport b from '../base/b.ts';"), 0);
  });

  test('powers: modules and globals away from home', () => {
    for (const text of [
      "import net from 'node:net';",
      "import { spawn } from 'node:child_process';",
      "import { Piscina } from 'piscina';",
      "import { pino } from 'pino';",
      'console.log(1);',
      'process.stdout.write(text);',
      'const now = Date.now();',
      'const now = new Date();',
      'const now = performance.now();',
      'const { env } = process.env;',
      'const x = Math.random();',
      'const id = randomUUID();',
      'fetch(url);',
      'process.exit(1);',
    ]) {
      assert.equal(faults(rules.powers, 'src/relay/x.ts', text), 1, text);
    }
    assert.equal(faults(rules.powers, 'src/net/x.ts', "import { writeFile } from 'node:fs/promises';"), 1);
    assert.equal(faults(rules.powers, 'src/net/x.ts', "import net from 'node:net';"), 0);
    assert.equal(faults(rules.powers, 'src/relay/x.ts', "import type { Socket } from 'node:net';"), 0);
    assert.equal(faults(rules.powers, 'src/relay/x.ts', "log('Date.now()'); // Math.random()"), 0);
    assert.equal(faults(rules.powers, 'src/relay/x.ts', 'const date = new Date(timeMs);'), 0);
  });

  test('readers: config and admin never write', () => {
    assert.equal(faults(rules.readers, 'src/config/x.ts', "import { writeFileSync } from 'node:fs';"), 1);
    assert.equal(faults(rules.readers, 'src/admin/x.ts', "import * as fs from 'node:fs';"), 1);
    assert.equal(faults(rules.readers, 'src/config/x.ts', "import { readFileSync, statSync } from 'node:fs';"), 0);
    assert.equal(faults(rules.readers, 'src/spool/x.ts', "import { writeFileSync } from 'node:fs';"), 0);
  });

  test('purity: no module of Node, no waiting', () => {
    for (const text of [
      "import type { A } from 'node:net';",
      'await x;',
      'async () => 1;',
      'setTimeout(f, 1);',
      'Buffer.from(x);',
    ])
      assert.equal(faults(rules.purity, 'src/smtp/x.ts', text), 1, text);
    assert.equal(faults(rules.purity, 'src/smtp/x.ts', "const text = 'await'; // Buffer.from"), 0);
    assert.equal(faults(rules.purity, 'src/net/x.ts', 'await x;'), 0);
  });

  test('reply texts: at the start of a literal or of a line of it', () => {
    for (const text of ["'250 OK'", "'354 '", '`421-$' + '{name}`', "'hello\\r\\n220 hi'"])
      assert.equal(faults(rules.replyText, 'src/relay/x.ts', `send(${text});`), 1, text);
    for (const text of ["'after 250 messages'", "'2500 bytes'", "'4.4.2'", '`$' + '{code} OK`', "'127.0.0.1'", "'200'"])
      assert.equal(faults(rules.replyText, 'src/relay/x.ts', `send(${text});`), 0, text);
  });

  test('file names', () => {
    for (const path of ['src/net/utils.ts', 'src/net/tls_helper.ts', 'src/net/camelCase.ts', 'src/net/a-b.ts'])
      assert.equal(faults(rules.fileName, path, ''), 1, path);
    for (const path of ['src/net/tls.ts', 'test/unit/net/dns_cache.test.ts', 'native/build.mjs', 'src/net/database.ts'])
      assert.equal(faults(rules.fileName, path, ''), 0, path);
  });

  test('sizes: files, functions and lines, unless they say why', () => {
    const many = 'call();\n'.repeat(401);
    assert.equal(faults(rules.sizes, 'src/net/x.ts', many), 1);
    assert.equal(faults(rules.sizes, 'src/net/x.ts', `// Large: one table, which is read as a whole\n${many}`), 0);
    assert.equal(faults(rules.sizes, 'src/net/x.ts', `// Large: so\n${many}`), 1);
    const long = `function f() {\n${'  call();\n'.repeat(70)}}\n`;
    assert.equal(faults(rules.sizes, 'src/net/x.ts', long), 1);
    assert.equal(faults(rules.sizes, 'src/net/x.ts', `// Large: one case for each verb\n${long}`), 0);
    assert.equal(faults(rules.sizes, 'src/net/x.ts', `const x = ${'a + '.repeat(40)}a;`), 1);
  });

  test('contract: a file says first what it is for', () => {
    assert.equal(faults(rules.contract, 'src/net/x.ts', "import a from './a.ts';"), 1);
    assert.equal(faults(rules.contract, 'src/net/x.ts', '/** Names. */'), 0);
    assert.equal(faults(rules.contract, 'src/net/x.ts', '// Large: why it is so\n/**\n * Names.\n */'), 0);
    assert.equal(faults(rules.contract, 'src/x.ts', '#!/usr/bin/env node\n/** Names. */'), 0);
    assert.equal(faults(rules.contract, 'src/x.ts', '#!/usr/bin/env node\nrun();'), 1);
  });

  test('leftovers: reminders, and checks that are switched off without a word', () => {
    assert.equal(faults(rules.leftovers, 'src/net/x.ts', `// ${'TO'}${'DO'} later`), 1);
    assert.equal(faults(rules.leftovers, 'src/net/x.ts', `// @ts-${'ignore'}`), 1);
    assert.equal(faults(rules.leftovers, 'src/net/x.ts', `// biome-${'ignore'} lint/style/x: the reason is here`), 0);
  });

  test('citations of an RFC that is not listed', () => {
    const source = parse('src/net/x.ts', '// RFC 5321 §4.5, RFC 9999 §1');
    assert.equal(rules.citations(source, new Set([5321])).length, 1);
  });

  test('dead files and dead exports', () => {
    const sources = [
      parse('src/main.ts', "import './a.ts';\nnew URL('./b.ts', import.meta.url);"),
      parse('src/a.ts', "import { used } from './c.ts';"),
      parse('src/b.ts', ''),
      parse('src/c.ts', 'export const used = 1;\nexport const unused = 1;'),
      parse('src/dead.ts', "import './a.ts';"),
    ];
    assert.deepEqual([...rules.reached(sources, ['src/main.ts'])].sort(), [
      'src/a.ts',
      'src/b.ts',
      'src/c.ts',
      'src/main.ts',
    ]);
    assert.deepEqual(rules.unusedExports(sources, sources), ['src/c.ts: nobody uses unused']);
  });
});
