/** Connections that misbehave, or dribble, beside the mail. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../../support/deadline.ts';
import { send, sourceTo, withPeer, withSink } from './load_pair.ts';

describe('misbehaviour', { timeout: 30_000 }, () => {
  const PARTS = 9;

  it('of every kind is had, and the mail beside it comes through', () =>
    withSink({}, async (sink) => {
      const source = sourceTo(sink.port, { misbehaving: PARTS, messages: 1e6, rate: 200, seconds: 20 });
      const run = source.run();
      await eventually('a connection of each part', () => sink.stats().connections >= PARTS * 2 + 4);
      source.stop();
      const report = await run;
      assert.equal(report.acknowledged, report.attempted);
      assert.ok(report.acknowledged > 0);
      const [counts] = sink.stats().runs;
      assert.deepEqual([counts?.distinct, counts?.altered], [report.acknowledged, 0]);
      assert.deepEqual(
        Object.values(report.misbehaving).filter(({ connections }) => connections === 0),
        [],
      );
      assert.equal(Object.keys(report.misbehaving).length, PARTS);
      assert.ok((report.misbehaving['unknown commands']?.replies['500'] ?? 0) >= 30);
      assert.ok((report.misbehaving['a line without an end']?.cut ?? 0) > 0);
      assert.ok((report.misbehaving['hangs up within content']?.replies['354'] ?? 0) > 0);
    }));

  it('slowly: a byte at a time', async () => {
    const heard: string[] = [];
    await withPeer(
      (socket) => {
        socket.write('220 x\r\n');
        let text = '';
        const slot = heard.push('') - 1;
        socket.on('data', (chunk) => {
          text += chunk.toString('latin1');
          heard[slot] = text;
        });
      },
      async (port) => {
        const source = sourceTo(port, { connections: 1, slow: 2, slowByteMs: 2, silenceSecondsMax: 0.5 });
        const run = source.run();
        await eventually(
          'both to have said something',
          () => heard.filter((text) => text.startsWith('EHLO mis')).length === 2,
        );
        source.stop();
        const { slow } = (await run).misbehaving;
        assert.equal(slow?.connections, 2);
        assert.ok(slow.bytes >= 16 && slow.bytes < 10_000, `${slow.bytes}`); // all at once would be 65,000
        const dribbled = heard.filter((text) => text.startsWith('EHLO mis'));
        assert.ok(dribbled.join('').length <= slow.bytes);
      },
    );
  });

  it('is cut by a server that will not have it', () =>
    withSink({ refuse: { connect: [{ code: 554, share: 1 }] } }, async (sink) => {
      const report = await send(sink, { slow: 1, misbehaving: 1, connections: 1, giveUpSeconds: 0.5 });
      assert.ok((report.misbehaving.slow?.cut ?? 0) > 0);
      assert.deepEqual(Object.keys(report.misbehaving.slow?.replies ?? {}), ['554']);
    }));
});
