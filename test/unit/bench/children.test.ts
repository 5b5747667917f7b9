/** The load programs as processes of their own, and Postfix beside them where it is installed. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { delivery } from '../../../bench/bench.ts';
import { Bitmap } from '../../../bench/load/bitmap.ts';
import { Child } from '../../../bench/load/child.ts';
import type { IdleApi } from '../../../bench/load/idle.ts';
import type { SinkApi } from '../../../bench/load/sink.ts';
import type { SourceApi } from '../../../bench/load/source.ts';
import { processTree, rssBytes, treeCpuMs, treeMemoryBytes } from '../../../bench/measure/processes.ts';
import { postfixInstalled, startPostfix } from '../../../bench/peers/postfix.ts';

describe('children', { timeout: 30_000 }, () => {
  let sink: Child<SinkApi>;
  let source: Child<SourceApi>;
  before(() => {
    sink = new Child<SinkApi>('sink.ts');
    source = new Child<SourceApi>('source.ts');
  });
  after(async () => {
    await source.stop();
    await sink.stop();
  });

  it('source and sink agree over the channel, numbers included', async () => {
    const { port } = await sink.call('listen', {});
    const report = await source.call('run', { port, connections: 3, messages: 100, pipelining: true });
    const { counts, lost } = await delivery(source, sink, report);
    assert.deepEqual([counts.distinct, counts.duplicates, counts.altered, lost.length], [100, 0, 0, 0]);
    assert.equal(new Bitmap(await source.call('acknowledged', undefined)).size, 100);
    assert.equal(new Bitmap(await sink.call('seen', report.run)).size, 100);
    assert.deepEqual(await source.call('progress', undefined), { attempted: 100, acknowledged: 100 });
  });

  it("a child's error is the caller's", async () => {
    await assert.rejects(source.call('run', { port: 1 }), /messages or seconds/);
  });

  it('holds idle connections, and knows which answer', async () => {
    const { port } = await sink.call('listen', {});
    const holder = new Child<IdleApi>('idle.ts');
    try {
      assert.deepEqual(await holder.call('hold', { host: '127.0.0.1', port, connections: 250 }), {
        open: 250,
        gone: 0,
        firstReason: '',
      });
      assert.equal(await holder.call('probe', undefined), 250);
      await sink.stop();
      assert.equal(await holder.call('probe', undefined), 0);
      assert.equal((await holder.call('counts', undefined)).gone, 250);
    } finally {
      await holder.stop();
    }
  });

  it('a call to one that has ended is refused, and so is one that it dies under', async () => {
    const doomed = new Child<SourceApi>('source.ts');
    await doomed.call('progress', undefined);
    const call = doomed.call('run', { port: 1, messages: 1, giveUpSeconds: 60 });
    const refused = assert.rejects(call, /ended/);
    await doomed.stop();
    await refused;
  });
});

describe('figures of processes', () => {
  it('know this process and its children', async () => {
    const child = new Child<SourceApi>('source.ts');
    try {
      await child.call('progress', undefined);
      assert.ok(processTree(process.pid).includes(child.pid));
      assert.ok(rssBytes(child.pid) > 10_000_000);
      assert.ok(treeMemoryBytes(process.pid) > treeMemoryBytes(child.pid));
      assert.ok(treeCpuMs(process.pid) >= treeCpuMs(child.pid));
      assert.ok(treeCpuMs(child.pid) > 0);
    } finally {
      await child.stop();
    }
  });
});

describe('Postfix of our own', {
  skip: postfixInstalled() ? false : 'not installed, or not root',
  timeout: 60_000,
}, () => {
  const folder = fileURLToPath(new URL(`../../../var/test-postfix-${process.pid}`, import.meta.url));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('relays to the sink, delivers into its inbox, and leaves no process behind', async () => {
    mkdirSync(folder, { recursive: true });
    const sink = new Child<SinkApi>('sink.ts');
    const source = new Child<SourceApi>('source.ts');
    const { port } = await sink.call('listen', {});
    const postfix = await startPostfix({ folder, relayTo: `127.0.0.1:${port}`, domains: ['inbox.example'] });
    try {
      const relayed = await source.call('run', { port: postfix.port, connections: 4, messages: 40, pipelining: true });
      assert.equal(relayed.acknowledged, 40);
      const { counts, lost } = await delivery(source, sink, relayed);
      assert.deepEqual([counts.distinct, counts.altered, lost.length], [40, 0, 0]);
      const kept = await source.call('run', { port: postfix.port, messages: 3, to: 'who%r@inbox.example' });
      assert.equal(kept.acknowledged, 3);
      for (let tries = 0; tries < 200 && postfix.messages().length < 3; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      const messages = postfix.messages();
      assert.equal(messages.length, 3);
      assert.match(
        messages[0]?.toString('latin1') ?? '',
        /^Return-Path: <bench@source\.example>\n[\s\S]*\nX-Bench-Stamp: /,
      );
    } finally {
      const master = postfix.pids()[0] ?? 0;
      await postfix.stop();
      await source.stop();
      await sink.stop();
      assert.deepEqual(
        processTree(master).filter((pid) => rssBytes(pid) > 0),
        [],
      );
    }
  });
});
