/**
 * Damage in the middle of a journal: each sector in turn is flipped, zeroed or garbled, each file is cut at each block,
 * segments change places or go. What is whole is found, unaltered; what is not is named in the log, and the rest of its
 * segment is moved aside; the shard goes on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_BYTES } from '../../../src/spool/record.ts';
import type { Envelope, Spool, Stored } from '../../../src/spool/spool.ts';
import { SpoolFailure } from '../../../src/spool/spool.ts';
import type { Report } from './ledger.ts';
import { contentOf, delivered, put, readWhole } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';
import { openIn, SEGMENT_BYTES, World } from './workload.ts';

const FOLDER = '/spool/shard-00';
const SECTOR_BYTES = 512;
const CONTENT_BYTES = 5000;
const MESSAGES = 56;

type Known = {
  readonly envelope: Envelope;
  readonly content: Buffer;
  readonly segment: number;
  readonly from: number;
  readonly to: number;
};
type Before = { readonly disk: SimulatedDisk; readonly known: ReadonlyMap<string, Known>; readonly segments: string[] };

/** Three segments with messages that all wait, each alone in its batch; where each is, by its id. */
async function before(): Promise<Before> {
  const disk = new SimulatedDisk();
  const spool = await openSpoolIn(disk, []);
  const known = new Map<string, Known>();
  for (let at = 0; at < MESSAGES; at++) {
    const content = contentOf(CONTENT_BYTES + at, at);
    const message = await put(spool, content, 1);
    if (at % 5 === 0) await spool.mark(message.row, [{ recipient: 0, state: { ...LATER, attempts: at } }]);
    spool.rest(message);
    known.set(message.envelope.id, { envelope: message.envelope, content, segment: 0, from: 0, to: 0 });
  }
  await spool.close();
  // Out of the way: most of what follows is about the journal alone.
  await disk.rename(`${FOLDER}/checkpoint`, '/spool/checkpoint');
  const segments = disk
    .paths()
    .filter((path) => path.endsWith('.seg') && !disk.contents(path).every((byte) => byte === 0));
  for (const [segment, path] of segments.entries()) locate(disk.contents(path), segment, known);
  assert.ok([...known.values()].every(({ to }) => to > 0));
  return { disk, known, segments };
}

const LATER = { tag: 'waiting', nextMs: 7, site: 'mx', detail: '451 later', warned: false } as const;

const openSpoolIn = (disk: SimulatedDisk, reports: Report[]): Promise<Spool> => {
  const world = new World(disk);
  world.reports = reports;
  return openIn(world);
};

/** A message's bytes: from its frame's header to the end of its content, found by what only it contains. */
function locate(bytes: Buffer, segment: number, known: Map<string, Known>): void {
  for (const [id, { envelope, content }] of known) {
    const at = bytes.indexOf(content);
    if (at < 0) continue;
    const from = bytes.lastIndexOf('PREC', at);
    known.set(id, { envelope, content, segment, from, to: at + content.length });
  }
}

/** What is found after the damage: whole, unaltered, and the spool takes mail again and again. */
async function after(
  disk: SimulatedDisk,
  { known }: Before,
  mayMiss: (message: Known) => boolean,
  told = true,
): Promise<Report[]> {
  const reports: Report[] = [];
  const spool = await openSpoolIn(disk, reports);
  const found = new Set<string>();
  for (const row of spool.index.rows()) {
    const message = await spool.wake(row);
    const { id } = message.envelope;
    assert.ok(!found.has(id), 'no message is there twice');
    found.add(id);
    assert.deepEqual(message.envelope, known.get(id)!.envelope);
    assert.ok((await readWhole(spool, message)).equals(known.get(id)!.content), 'no message comes back altered');
    spool.rest(message);
  }
  for (const [id, message] of known) assert.ok(found.has(id) || mayMiss(message), 'what is readable is not lost');
  const next = await put(spool, contentOf(3000, 1), 1);
  spool.rest(next);
  await spool.close();
  assert.equal(disk.filesOpen, 0);
  const again: Report[] = [];
  const later = await openSpoolIn(disk, again);
  assert.equal(later.index.messages, found.size + 1, 'and the next start finds the same');
  assert.deepEqual(
    again.filter(({ event }) => LOUD.has(event)),
    [],
    'damage is told once',
  );
  await later.close();
  if (told && found.size < known.size) {
    assert.ok(
      reports.some(({ event }) => TELLING.has(event)),
      'what is lost is told',
    );
  }
  return reports;
}
const LOUD: ReadonlySet<string> = new Set(['spool-corrupt', 'spool-lost']);
/** The last batch of all has no later one that says it was once on disk. */
const TELLING: ReadonlySet<string> = new Set([...LOUD, 'spool-torn-tail']);

const DAMAGES: Readonly<Record<string, (sector: Buffer) => void>> = {
  'one bit': (sector) => {
    sector[100]! ^= 4;
  },
  zeros: (sector) => sector.fill(0),
  garbage: (sector) => contentOf(sector.length, sector[0]!).copy(sector),
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  test(`${name} in each sector in turn: one message may be lost, and its segment is moved aside`, async () => {
    const story = await before();
    let points = 0;
    for (const [segment, path] of story.segments.entries()) {
      for (let at = 0; at < SEGMENT_BYTES; at += SECTOR_BYTES) {
        const disk = story.disk.afterKill();
        const sector = disk.contents(path).subarray(at, at + SECTOR_BYTES);
        const was = Buffer.from(sector);
        damage(sector);
        if (sector.equals(was)) continue;
        points++;
        const hit = (known: Known): boolean =>
          known.segment === segment && known.from < at + SECTOR_BYTES && known.to > at;
        const reports = await after(disk, story, hit);
        const told = reports.some(({ event, fields }) => event === 'spool-corrupt' && fields.segment === path);
        if (told) assert.ok(disk.paths().includes(path.replace('.seg', '.damaged')), 'what is left is moved aside');
      }
    }
    console.log(`${points} sectors damaged`);
    assert.ok(points > 300);
  });
}

test('damage behind a checkpoint is met when the message is asked for: unreadable, then lost by name', async () => {
  const story = await before();
  for (const [segment, path] of story.segments.entries()) {
    for (let at = BLOCK_BYTES; at < SEGMENT_BYTES; at += 7 * SECTOR_BYTES) {
      const disk = story.disk.afterKill();
      await disk.link('/spool/checkpoint', `${FOLDER}/checkpoint`);
      disk.contents(path).fill(0xa5, at, at + SECTOR_BYTES);
      const reports: Report[] = [];
      const spool = await openSpoolIn(disk, reports);
      let missing = 0;
      for (const row of [...spool.index.rows()]) {
        try {
          const message = await spool.wake(row);
          const { content } = story.known.get(message.envelope.id)!;
          assert.ok((await readWhole(spool, message)).equals(content), 'no message comes back altered');
          spool.rest(message);
        } catch (error) {
          assert.ok(error instanceof SpoolFailure && error.reason === 'unreadable');
          missing++;
        }
      }
      const hit = ({ segment: of, from, to }: Known) => of === segment && from < at + SECTOR_BYTES && to > at;
      assert.equal(missing, [...story.known.values()].filter(hit).length, 'what is readable is not lost');
      assert.equal(spool.index.messages, story.known.size);
      await spool.close();
    }
  }
});

test('a segment cut at any block: what is before the cut is there, and all other segments', async () => {
  const story = await before();
  for (const [segment, path] of story.segments.entries()) {
    for (let at = 0; at < SEGMENT_BYTES; at += BLOCK_BYTES) {
      const disk = story.disk.afterKill();
      disk.truncate(path, at);
      // Without its header, and with no later one, nobody knows which records are of this life.
      const headless = (known: Known) => known.segment === segment && at <= BLOCK_BYTES;
      await after(disk, story, (known) => headless(known) || (known.segment === segment && known.to > at));
    }
  }
});

test('segments that change places, or go: nothing comes back twice or altered, and the others are there', async () => {
  const story = await before();
  const [one, two] = story.segments as [string, string];
  const swapped = story.disk.afterKill();
  await swapped.rename(one, '/spool/aside');
  await swapped.rename(two, one);
  await swapped.rename('/spool/aside', two);
  await after(swapped, story, ({ segment }) => segment < 2);
  for (const [segment, path] of story.segments.entries()) {
    const disk = story.disk.afterKill();
    await disk.unlink(path);
    // Of the first and the last one nothing says that there was anything, but for a checkpoint.
    const told = segment > 0 && segment < story.segments.length - 1;
    await after(disk, story, (known) => known.segment === segment, told);
  }
});

test('a record that rots after it was accepted: unreadable, then lost by name, and the space bound holds', async () => {
  const disk = new SimulatedDisk();
  const reports: Report[] = [];
  const spool = await openSpoolIn(disk, reports);
  const rotten = await put(spool, contentOf(CONTENT_BYTES, 1), 1);
  const sound = await put(spool, contentOf(CONTENT_BYTES, 2), 1);
  const { row } = rotten;
  spool.rest(rotten);
  spool.rest(sound);
  const path = disk.paths().find((name) => name.endsWith('.seg') && disk.contents(name).includes('PREC'))!;
  const at = disk.contents(path).indexOf(contentOf(CONTENT_BYTES, 1));
  disk.contents(path)[at + 9]! ^= 1;
  await assert.rejects(
    async () => await spool.wake(row),
    (error) => error instanceof SpoolFailure && error.reason === 'unreadable',
  );
  for (let more = 0; more < 30; more++) {
    const passing = await put(spool, contentOf(60_000, more), 1);
    spool.rest(passing);
    await spool.mark(passing.row, delivered(0));
  }
  await until(() => disk.paths().includes(path.replace('.seg', '.damaged')));
  const lost = reports.filter(({ event }) => event === 'spool-lost');
  assert.deepEqual(
    lost.map(({ fields }) => fields.sequence),
    [1],
  );
  assert.deepEqual(
    [...spool.index.rows()].map((live) => spool.index.key(live)),
    [2],
  );
  const awake: Stored = await spool.wake([...spool.index.rows()][0]!);
  assert.ok((await readWhole(spool, awake)).equals(contentOf(CONTENT_BYTES, 2)));
  spool.rest(awake);
  await until(() => spool.stats.bytesOnDisk <= 2 * (CONTENT_BYTES + 1000) + 2 * SEGMENT_BYTES);
  await spool.close();
});

/** Bounded by turns of the event loop, not by time. */
async function until(reached: () => boolean): Promise<void> {
  for (let turns = 0; !reached(); turns++) {
    assert.ok(turns < 2000, 'it comes to that');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
