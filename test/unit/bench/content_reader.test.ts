import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Arrived, ContentReader } from '../../../bench/load/content_reader.ts';
import { stuff } from '../../../bench/load/outgoing.ts';
import { patchStamp, withStamp } from '../../../bench/load/stamp.ts';

/** Feeds DATA bytes in two pieces; what arrived, and the bytes behind the end of data. */
function readSplit(wire: Buffer, split: number): { arrived: Arrived; rest: string } {
  const reader = new ContentReader(1e6);
  const first = wire.subarray(0, split);
  const second = wire.subarray(split);
  const early = first.length === 0 ? -1 : reader.data(first, 0);
  if (early !== -1) return { arrived: reader.finish(), rest: wire.toString('latin1', early) };
  const end = reader.data(second, 0);
  assert.notEqual(end, -1, `no end of data, split at ${split}`);
  return { arrived: reader.finish(), rest: second.toString('latin1', end) };
}

describe('content of DATA', () => {
  const texts = [
    '',
    'a\r\n',
    '.\r\n',
    '..\r\n.\r\n',
    '\r\n.\r\n\r\n',
    '.a\r\n..\r\n\n.\n\r.\r',
    'x\r\r\n',
    '\r\n\r\n.\r\r\n',
  ];
  for (const text of texts) {
    const content = Buffer.from(text.endsWith('\r\n') || text === '' ? text : `${text}\r\n`);
    it(`is undone at every split: ${JSON.stringify(text)}`, () => {
      const wire = Buffer.concat([stuff(content), Buffer.from('RSET\r\n')]);
      for (let split = 0; split < wire.length; split++) {
        const { arrived, rest } = readSplit(wire, split);
        assert.equal(arrived.content?.toString('latin1'), content.toString('latin1'), `split at ${split}`);
        assert.equal(arrived.bytes, content.length);
        assert.equal(rest, 'RSET\r\n');
      }
    });
  }

  it('does not end at a dot between bare line feeds', () => {
    const reader = new ContentReader(1e6);
    assert.equal(reader.data(Buffer.from('a\n.\nb\r\n.\nc\n.\r\nd\r.\r'), 0), -1);
    assert.notEqual(reader.data(Buffer.from('e\r\n.\r\n'), 0), -1);
    assert.equal(reader.finish().content?.toString(), 'a\n.\nb\r\n\nc\n.\r\nd\r.\re\r\n');
  });
});

describe('the stamp', () => {
  const text = 'Subject: x\r\n\r\n.dot\r\nbody\r\n';
  const stamped = withStamp(0xc0ffee, Buffer.from(text));
  patchStamp(stamped, 42, 1_234_567);
  const received = Buffer.from('Received: from here\r\n\tby there; now\r\nX-Other: y\r\n');
  const arrive = (content: Buffer, split = 0): Arrived => readSplit(stuff(content), split).arrived;

  it('is found at every split below header fields put on top', () => {
    const content = Buffer.concat([received, stamped]);
    for (let split = 0; split < content.length; split++) {
      const { stamp, intact } = arrive(content, split);
      assert.deepEqual(
        { run: stamp?.run, number: stamp?.number, sentUs: stamp?.sentUs, intact },
        {
          run: 0xc0ffee,
          number: 42,
          sentUs: 1_234_567,
          intact: true,
        },
      );
    }
  });

  it('tells an altered byte wherever it is below', () => {
    const first = stamped.indexOf('Subject');
    for (let at = first; at < stamped.length - 2; at++) {
      const altered = Buffer.from(stamped);
      altered[at] = altered[at] === 13 || altered[at] === 10 ? 32 : (altered[at] ?? 0) ^ 1;
      assert.equal(arrive(altered).intact, false, `byte ${at}`);
    }
  });

  it('tells a byte too many and one too few', () => {
    assert.equal(arrive(Buffer.concat([stamped, Buffer.from('\r\n')])).intact, false);
    assert.equal(arrive(Buffer.concat([stamped.subarray(0, -3), Buffer.from('\r\n')])).intact, false);
  });

  it('does not count in a body: a report that quotes a message is not that message', () => {
    const report = Buffer.concat([Buffer.from('Subject: failed\r\n\r\n'), stamped]);
    assert.equal(arrive(report).stamp, undefined);
    assert.equal(arrive(report).intact, false);
  });

  it('is none where its digits are damaged', () => {
    const damaged = Buffer.from(stamped);
    damaged[stamped.indexOf('0000000042')] = 120;
    assert.equal(arrive(damaged).stamp, undefined);
  });
});
