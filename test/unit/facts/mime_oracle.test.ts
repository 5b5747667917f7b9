/** Parts as we find them, and as mailsplit does: of whatever mail nodemailer composes, both see the same. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { Transform } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import MailComposer from 'nodemailer/lib/mail-composer/index.js';
import { MimeExamination } from '../../../src/facts/mime.ts';

type Piece =
  | { type: 'node'; contentType: string | false; filename: string | false; multipart: string | false }
  | { type: 'body' | 'data'; value: Buffer };
// It comes without types.
const { Splitter } = createRequire(import.meta.url)('mailsplit') as { Splitter: new () => Transform };

type Seen = {
  readonly types: readonly string[];
  readonly names: readonly string[];
  /** Of parts without parts, in order. None is empty: mailsplit may take the line end of the delimiter for it. */
  readonly bodies: readonly string[];
};

function ours(content: Buffer): Seen {
  const examination = new MimeExamination();
  examination.write(content, 0, content.length);
  const { facts, leaves } = examination.end();
  assert.deepEqual(facts['mime.faults'], []);
  const inOrder = [...leaves].sort((one, other) => one.index - other.index);
  return {
    types: facts['mime.types'] ?? [],
    names: facts['mime.names'] ?? [],
    bodies: inOrder.map(({ bodyStart, end }) => content.toString('latin1', bodyStart, end)),
  };
}

async function theirs(content: Buffer): Promise<Seen> {
  const types = new Set<string>();
  const names: string[] = [];
  const bodies: string[] = [];
  const splitter = new Splitter();
  splitter.on('data', (data: Piece) => {
    if (data.type === 'node') {
      types.add(data.contentType || 'text/plain');
      if (typeof data.filename === 'string') names.push(data.filename);
      if (!data.multipart) bodies.push('');
    } else if (data.type === 'body') bodies.push(bodies.pop()! + data.value.toString('latin1'));
  });
  splitter.end(content);
  await once(splitter, 'end');
  return { types: [...types], names, bodies };
}

const word = fc.stringMatching(/^[a-z0-9]{1,12}$/);
/** Beyond ASCII it takes encoded words, or pieces by RFC 2231. */
const fileName = fc
  .tuple(fc.constantFrom('', 'Bericht ', 'отчёт ', '資料', 'a "b" '), word, fc.constantFrom('pdf', 'exe', 'tar.gz'))
  .map(([before, name, extension]) => `${before}${name}.${extension}`);
const text = fc.array(fc.constantFrom('a line', '', '--', '-- ', '--b', 'Zeile für Zeile', 'x'.repeat(200)), {
  maxLength: 8,
});
const attachment = fc.record({
  filename: fileName,
  content: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  contentType: fc.constantFrom('application/pdf', 'application/octet-stream', 'image/png'),
  contentDisposition: fc.constantFrom('attachment' as const, 'inline' as const),
});
const mail = fc.record(
  {
    from: fc.constant('a@sender.example'),
    subject: word,
    text: text.map((lines) => ['Hello', ...lines].join('\r\n')),
    html: text.map((lines) => `<p>${lines.join('</p>\r\n<p>')}</p>`),
    attachments: fc.array(attachment, { maxLength: 4 }),
  },
  { requiredKeys: ['from', 'text'] },
);

test('both find the same types, names and bodies', async () => {
  let attachments = 0;
  await fc.assert(
    fc.asyncProperty(mail, async (options) => {
      attachments += options.attachments?.length ?? 0;
      const content = await new MailComposer({ ...options, newline: 'windows' }).compile().build();
      const [mine, other] = [ours(content), await theirs(content)];
      assert.deepEqual(mine.types, other.types);
      assert.deepEqual(mine.names, other.names);
      assert.deepEqual(mine.bodies, other.bodies);
    }),
    { numRuns: 300 },
  );
  assert.ok(attachments > 100);
});
