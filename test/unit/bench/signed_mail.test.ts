/** Signed mail of the bench, and what its sink says about how it was authenticated. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resultsIn } from '../../../bench/load/results.ts';
import { SignedMail } from '../../../bench/load/signed_mail.ts';
import { Sink } from '../../../bench/load/sink.ts';
import { Source } from '../../../bench/load/source.ts';
import { byMailauth, byPostern } from '../../../bench/measure/verifying.ts';

const FIELD =
  'Authentication-Results: mx.example.com;\r\n\tspf=pass smtp.mailfrom=a.example;\r\n' +
  '\tdkim=fail reason="dmarc=pass" header.d=a.example;\r\n\tdkim=pass header.d=b.example;\r\n\tdmarc=pass\r\n';

describe('results in the fields on top of a message', () => {
  const read = (text: string): string[] => [...resultsIn(Buffer.from(text))].sort();

  it('are those of each method', () =>
    assert.deepEqual(read(`${FIELD}Received: from x\r\n`), ['dkim=fail', 'dkim=pass', 'dmarc=pass', 'spf=pass']));

  it('are those of the topmost field alone', () => {
    const other = 'Authentication-Results: other.example;\r\n\tdkim=fail\r\n';
    assert.deepEqual(read(`Received: from x\r\n\tby y\r\n${other}${FIELD}`), ['dkim=fail']);
  });

  it('are none where there is no such field', () => {
    assert.deepEqual(read(''), []);
    assert.deepEqual(read('X-Original-Authentication-Results: x; dkim=pass\r\n'), []);
  });
});

describe('signed mail', { timeout: 20_000 }, () => {
  const mail = new SignedMail(3);

  it('holds, for Postern and for mailauth, and not when it is altered', async () => {
    const [letter] = await mail.letters(4096);
    await byPostern(letter!, mail.zone)();
    await byMailauth(letter!, mail.zone)();
    const altered = { ...letter!, text: Buffer.from(letter!.text) };
    altered.text[altered.text.length - 9]! ^= 1;
    await assert.rejects(byPostern(altered, mail.zone)());
    await assert.rejects(byMailauth(altered, mail.zone)());
  });

  it('is sent in turn, each by its own sender, and the sink tells what was put on top of it', async () => {
    const letters = await mail.letters(2000);
    const senders: string[] = [];
    const sink = await Sink.listen({ onMessage: ({ from }) => senders.push(from) });
    const report = await new Source({ port: sink.port, messages: 7, letters, pipelining: true }).run();
    const [run] = sink.stats().runs;
    await sink.close();
    assert.deepEqual([report.acknowledged, run?.distinct, run?.altered], [7, 7, 0]);
    assert.deepEqual(run?.results, {});
    assert.deepEqual(
      senders,
      [0, 1, 2, 0, 1, 2, 0].map((index) => letters[index]!.from),
    );
  });
});
