/** What the source sends, and between whom: sizes, folders of mail, patterns of addresses. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { emlFolder, withLineEnds } from '../../../bench/load/eml_folder.ts';
import type { Delivered } from '../../../bench/load/sink.ts';
import { STAMP_BYTES } from '../../../bench/load/stamp.ts';
import { manySizes, sizesOf } from '../../../bench/load/text_sizes.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { send, sourceTo, withPeer, withSink } from './load_pair.ts';

describe('sizes', { timeout: 30_000 }, () => {
  it('are log-normal: as many below the median as above, a sigma further the 84th of a hundred', () => {
    const sizes = [...sizesOf({ medianBytes: 20_000, sigma: 1, bytesMax: 1e9 })].sort((a, b) => a - b);
    assert.equal(sizes.length, 256);
    assert.ok(sizes[127]! <= 20_000 && sizes[128]! >= 20_000);
    const ratio = sizes[Math.round(256 * 0.841)]! / 20_000;
    assert.ok(ratio > Math.E * 0.85 && ratio < Math.E * 1.15, `${ratio}`);
  });

  it('have bounds', () => {
    const sizes = sizesOf({ medianBytes: 2_000, sigma: 3, bytesMax: 50_000 });
    assert.deepEqual([Math.min(...sizes), Math.max(...sizes)], [400, 50_000]);
    assert.throws(() => manySizes(1, { medianBytes: 50 << 20, sigma: 0, bytesMax: 100 << 20 }), /lower maximum/);
  });

  it('arrive as they were made', async () => {
    const got: number[] = [];
    const sizes = { medianBytes: 5_000, sigma: 1.5, bytesMax: 200_000 };
    await withSink({ onMessage: ({ content }) => got.push(content.length) }, async (sink) => {
      await send(sink, { sizes, messages: 100, pipelining: true });
      assert.deepEqual([sink.stats().runs[0]?.distinct, sink.stats().runs[0]?.altered], [100, 0]);
    });
    assert.ok(new Set(got).size > 30, `${new Set(got).size}`);
    const possible = new Set(sizesOf(sizes));
    assert.ok(got.every((bytes) => possible.has(bytes)));
  });
});

describe('a folder of mail', { timeout: 30_000 }, () => {
  const files: Readonly<Record<string, readonly [text: string, sent: string]>> = {
    '1.eml': ['Subject: a\n\n.\n..\n.x\nend', 'Subject: a\r\n\r\n.\r\n..\r\n.x\r\nend\r\n'],
    '2.eml': ['Subject: b\r\n\r\nbare\rCR and\nLF\r\n', 'Subject: b\r\n\r\nbare\r\nCR and\r\nLF\r\n'],
    '3.EML': ['Subject: c\n\nGr\u00fc\u00dfe\n', 'Subject: c\r\n\r\nGr\u00fc\u00dfe\r\n'],
    '4.eml': ['', '\r\n'],
  };
  const folder = temporaryFolder('eml');
  for (const [name, [text]] of Object.entries(files)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'notes.txt'), 'no mail');

  for (const bdat of [false, true])
    it(`arrives file by file, line ends made whole, dots as they were${bdat ? ', by BDAT' : ''}`, async () => {
      const got: Delivered[] = [];
      await withSink({ onMessage: (message) => got.push(message) }, async (sink) => {
        const report = await send(sink, {
          emlFolder: folder,
          messages: 8,
          connections: 1,
          bdat,
          from: 's%n@x.example',
        });
        assert.equal(report.acknowledged, 8);
      });
      const sent = Object.values(files).map(([, text]) => text);
      assert.deepEqual(
        got.map(({ content }) => content.toString('utf8', STAMP_BYTES)),
        [...sent, ...sent],
      );
      assert.ok(got.every(({ intact }) => intact));
      assert.deepEqual([got[0]?.from, got[7]?.from], ['s0@x.example', 's7@x.example']);
    });

  it('says that it is 8-bit where it is', async () => {
    const commands: string[] = [];
    await withPeer(
      (socket) => {
        socket.write('220 x\r\n');
        socket.on('data', (chunk) => {
          const line = chunk.toString('latin1');
          if (line.startsWith('MAIL')) commands.push(line);
          socket.write(line.startsWith('MAIL') ? '550 no\r\n' : line.startsWith('QUIT') ? '221 b\r\n' : '250 x\r\n');
        });
      },
      async (port) => {
        for (const from of ['a@x.example', 'a%n@x.example'])
          await sourceTo(port, { emlFolder: folder, messages: 4, connections: 1, from }).run();
      },
    );
    assert.deepEqual(
      commands.map((line) => line.includes('BODY=8BITMIME')),
      [false, false, true, false, false, false, true, false],
    );
  });

  it('with no mail in it is none', () => {
    const empty = temporaryFolder('no-eml');
    mkdirSync(join(empty, 'deeper'));
    assert.throws(() => emlFolder(empty), /no \.eml file/);
  });

  it('has whole line ends, whatever it had', () => {
    const ends = ['a', 'a\n', 'a\r', 'a\r\n', 'a\n\r\n', 'a\r\r\n', '\n\n'].map((text) =>
      withLineEnds(Buffer.from(text)),
    );
    assert.deepEqual(
      ends.map((text) => text.toString()),
      ['a\r\n', 'a\r\n', 'a\r\n', 'a\r\n', 'a\r\n\r\n', 'a\r\n\r\n', '\r\n\r\n'],
    );
  });
});

describe('addresses', { timeout: 30_000 }, () => {
  const envelopes = async (run: number): Promise<string[]> => {
    const got: string[] = [];
    await withSink({ onMessage: ({ from, to }) => got.push([from, ...to].join(' ')) }, async (sink) => {
      await send(sink, { run, connections: 1, from: 's%{5}@x.example', to: 'u%{1000}-%r@x.example', recipients: 2 });
    });
    return got;
  };

  it('are drawn from as many as one likes, the same in every run of the same id', async () => {
    const got = await envelopes(1);
    assert.equal(got.length, 50);
    for (const envelope of got)
      assert.match(envelope, /^s[0-4]@x\.example u\d{1,3}-0@x\.example u\d{1,3}-1@x\.example$/);
    assert.ok(new Set(got).size > 40);
    assert.deepEqual(await envelopes(1), got);
    assert.notDeepEqual(await envelopes(2), got);
  });
});
