/** Made-up mail, and the ledger that says what became of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ledger } from '../../../bench/load/ledger.ts';
import { plainText, sample } from '../../../bench/load/messages.ts';
import { type Delivered, Sink } from '../../../bench/load/sink.ts';
import { Source } from '../../../bench/load/source.ts';

const WHO = { senderDomains: ['from.example'], recipientDomains: ['to.example', 'too.example'] };
const BARE = /(^|[^\r])\n|\r(?!\n)/;

describe('made-up mail', () => {
  it('is the same each time, and differs from number to number and seed to seed', () => {
    assert.deepEqual(sample(1, 5, WHO), sample(1, 5, WHO));
    assert.notDeepEqual(sample(1, 5, WHO).text, sample(1, 105, WHO).text);
    assert.notDeepEqual(sample(1, 5, WHO).text, sample(2, 5, WHO).text);
  });

  it('has CRLF line ends only, and says what is 8-bit', () => {
    for (let number = 0; number < 200; number++) {
      const { text, eightBit, kind, to } = sample(3, number, WHO);
      const latin1 = text.toString('latin1');
      assert.doesNotMatch(latin1, BARE, `${kind} ${number}`);
      assert.ok(latin1.endsWith('\r\n'), `${kind} ${number}`);
      assert.equal(eightBit, kind === '8-bit', `${kind} ${number}`);
      assert.equal(new Set(to).size, to.length);
    }
  });

  it('is of every kind within a hundred: dots, long lines, up to a megabyte, several recipients', () => {
    const samples = Array.from({ length: 100 }, (_, number) => sample(1, number, WHO));
    assert.equal(new Set(samples.map(({ kind }) => kind)).size, 10);
    assert.ok(samples.some(({ text }) => text.includes('\r\n.\r\n')));
    assert.ok(
      samples.some(({ text }) =>
        text
          .toString('latin1')
          .split('\r\n')
          .some((line) => line.length > 50_000),
      ),
    );
    const largest = Math.max(...samples.map(({ text }) => text.length));
    assert.ok(largest > 500_000 && largest < 1_100_000, `${largest}`);
    assert.ok(samples.some(({ to }) => to.length >= 3));
    assert.ok(
      samples.some(({ text }) => !text.includes('\r\n\r\n')),
      'one without a body',
    );
  });

  it('for the bench is as long as asked for, with CRLF only', () => {
    for (let bytes = 300; bytes < 700; bytes++) {
      const text = plainText(bytes);
      assert.equal(text.length, bytes);
      assert.doesNotMatch(text.toString('latin1'), BARE, `${bytes}`);
      assert.ok(text.subarray(-2).equals(Buffer.from('\r\n')));
    }
  });
});

/** Sends all of a ledger's mail to a sink; `through` stands for what a relay does to it. */
async function carry(ledger: Ledger, through: (message: Delivered) => Delivered[], bdat = false): Promise<void> {
  const onMessage = (message: Delivered): void => {
    for (const one of through(message)) ledger.arrived(one);
  };
  const sink = await Sink.listen({ onMessage });
  try {
    const options = { port: sink.port, run: ledger.run, connections: 4, pipelining: true, bdat };
    const report = await new Source(options, ledger.load()).run();
    assert.equal(report.acknowledged, report.attempted);
  } finally {
    await sink.close();
  }
}

describe('the ledger', { timeout: 20_000 }, () => {
  const received = Buffer.from('Received: from x\r\n\tby y; now\r\n');
  const onTop = (message: Delivered): Delivered => ({
    ...message,
    content: Buffer.concat([received, message.content]),
  });
  const isNumber = (message: Delivered, number: number): boolean => message.stamp?.number === number;

  for (const bdat of [false, true]) {
    it(`finds all delivered and identical, header fields on top, by ${bdat ? 'BDAT' : 'DATA'}`, async () => {
      const ledger = new Ledger(9, 120, WHO);
      await carry(ledger, (message) => [onTop(message)], bdat);
      assert.equal(ledger.complete, true);
      assert.deepEqual(ledger.verdict(), { messages: 120, delivered: 120, identical: 120, twice: 0, strange: 0 });
    });
  }

  it('finds one altered byte', async () => {
    const ledger = new Ledger(9, 20, WHO);
    await carry(ledger, (message) => {
      if (isNumber(message, 7)) message.content[message.content.length - 5]! ^= 1;
      return [message];
    });
    assert.equal(ledger.verdict().delivered, 20);
    assert.equal(ledger.verdict().identical, 19);
  });

  it('finds one message lost, one recipient lost, one twice, and mail that is not its own', async () => {
    const ledger = new Ledger(9, 40, WHO);
    const several = Array.from({ length: 40 }, (_, number) => number).find(
      (number) => sample(9, number, WHO).to.length > 1,
    )!;
    const other = several === 3 ? 4 : 3;
    await carry(ledger, (message) => {
      if (isNumber(message, other)) return [];
      if (isNumber(message, several)) return [{ ...message, to: message.to.slice(1) }];
      if (isNumber(message, 20)) return [message, message];
      if (isNumber(message, 21)) return [message, { ...message, to: ['stranger@to.example'] }];
      return [message];
    });
    assert.equal(ledger.complete, false);
    assert.equal(
      ledger.open,
      sample(9, other, WHO).to.length + 1,
      'a copy too many does not stand in for a missing one',
    );
    assert.equal(ledger.has(other), false);
    assert.equal(ledger.has(several), false);
    const verdict = ledger.verdict();
    assert.deepEqual(verdict, {
      messages: 40,
      delivered: 38,
      identical: 38,
      twice: sample(9, 20, WHO).to.length,
      strange: 1,
    });
  });

  it('splits by recipient: copies by several transactions are one message', async () => {
    const ledger = new Ledger(9, 30, WHO);
    await carry(ledger, (message) => message.to.map((to) => ({ ...message, to: [to] })));
    assert.deepEqual(ledger.verdict(), { messages: 30, delivered: 30, identical: 30, twice: 0, strange: 0 });
  });
});
