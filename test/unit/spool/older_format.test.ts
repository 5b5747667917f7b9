/**
 * A spool that was written in format 2 is read as it is. The bytes are those of the last version that wrote it: message
 * old-1 with a recipient that waits for its first attempt and one that has had three, message old-2, delivered.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Disk } from '../../../src/spool/disk.ts';
import { writeFully } from '../../../src/spool/disk.ts';
import { openSpool } from '../../../src/spool/index.ts';
import type { Report } from './ledger.ts';
import { contentOf, optionsFor, put, readWhole } from './ledger.ts';
import { SimulatedDisk } from './simulated_disk.ts';

const unpacked = (base64: string): Buffer => gunzipSync(Buffer.from(base64, 'base64'));

const SEGMENT = unpacked(
  'H4sIAAAAAAACA+3cP2tTURgH4DetKARCi5tC4Q7iZjGlInQq1dK1f0RwTJMbaUl6S3KrxUkKfoAaKjiIaCuOouDmEFqc6nfwI4iji0iwkVgUVB' +
    'BEnmc5h/Nu90zv+zvc+aXZuaGIeNeee1yIiJG1/WsRQ9HbAwAAAP+H+cXZKx/fn4p+799btyJiLCJOPyisHp8DPIpnWaN2ofw828jbK7X0cGbz' +
    'zefrdyNetdO1WtqaTjcrzfVGOp61bu7v1TcajacLC/c7L1vV9fzit2I1a3a7Xw/L3x/ujO0fHBS3OxGvF9NqunIrrU0l9VbWTPK0nZeK3e7Sxv' +
    'JqWs2nkmwtLRVLxaye1LNWs5InE6WiCwUAAICf9P/LH6Y/9fv/3luAcwP1oaO1PwfoFAo7w4czd8r33kbEi8lL5WRy/PJ4OWlU8rS119xMKge+' +
    'KgAAAPx7/f/K7sMbg/l/MyJGI+Lqk5Nnh4/NAY7y/4nfyv+3f5j/74z+ctSf3856Ub/rAgAAgD/u/8+c3x0ZzP9PDNT7+/4coDPs1wAAAAAAAA' +
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' +
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAMDf8QUFogn0AAACAA==',
);
const CHECKPOINT = unpacked(
  'H4sIAAAAAAACAwtw9g5gYmBg4K1e4MjIwMDAn3cohCGAgYGFAQIYGfADTQYGhpKFRQVTJi1YnVqRmFuQk6qXnJ87acGS3AqFxEkL1puYGiqY6J' +
    'nrGSrkJJakFk2A6isA2tlbIpvOiGyPAAPDBQYGBlkQ+2NwqkGt3olZi5TDmXDYDdKzuuWWDZrw0VbDKic+qHzEdQFZRiR/AAC+ewgU8AAAAA==',
);
const FOLDER = '/spool/shard-00';

async function diskWith(files: Readonly<Record<string, Buffer>>): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  await disk.mkdir('/spool');
  await disk.mkdir(FOLDER);
  for (const [name, bytes] of Object.entries(files)) {
    const file = await disk.open(`${FOLDER}/${name}`, 'create');
    await writeFully(file, bytes, 0, bytes.length, 0);
    await file.datasync();
    await file.close();
  }
  return disk;
}

/** `SEGMENT` as another version would name itself. */
function ofFormat(version: number): Buffer {
  const bytes = Buffer.from(SEGMENT);
  bytes.writeUInt32LE(version, 4);
  return bytes;
}

const versionsOn = async (disk: Disk): Promise<number[]> => {
  const versions: number[] = [];
  for (const name of (await disk.list(FOLDER)).filter((each) => each.endsWith('.seg')).sort()) {
    const file = await disk.open(`${FOLDER}/${name}`, 'read');
    const head = Buffer.alloc(8);
    await file.read(head, 0, 8, 0);
    await file.close();
    versions.push(head.readUInt32LE(4));
  }
  return versions;
};

for (const [how, files, said] of [
  ['with its checkpoint', { '00000001.seg': SEGMENT, checkpoint: CHECKPOINT }, ['not used: TypeError: format 2']],
  ['without one', { '00000001.seg': SEGMENT }, []],
] as const) {
  test(`a spool of format 2 is read ${how}, and gone on with in the format of today`, async () => {
    assert.equal(SEGMENT.readUInt32LE(4), 2);
    const disk = await diskWith(files);
    const reports: Report[] = [];
    const spool = await openSpool(optionsFor('/spool', reports), disk);
    const told = reports.filter(({ event }) => event !== 'spool-recovered');
    assert.deepEqual(
      told.map(({ fields }) => fields.detail),
      said,
    );
    assert.equal(spool.index.messages, 1);
    const [row] = spool.index.rows();
    const message = await spool.wake(row!);
    assert.deepEqual(message.envelope.recipients, [{ address: 'rcpt0@example.com' }, { address: 'rcpt1@example.com' }]);
    assert.deepEqual([message.envelope.id, message.envelope.ret, message.envelope.envid], ['old-1', 'full', 'QQ']);
    assert.equal((await readWhole(spool, message)).toString(), 'Subject: one\r\n\r\nof format 2\r\n');
    assert.deepEqual(
      [0, 1].map((at) => spool.index.destination(row!, at)),
      ['example.com', 'example.com'],
    );
    const { attempts, site, detail } = message.state(1) as { attempts: number; site: string; detail: string };
    assert.deepEqual([attempts, site, detail], [3, 'mx a', '451 4.7.1 later']);
    await put(spool, contentOf(2000, 1));
    spool.rest(message);
    await spool.close();
    assert.deepEqual((await versionsOn(disk)).slice(0, 2), [2, 3], 'nothing of today is written into the old segment');
    assert.equal((await openSpool(optionsFor('/spool'), disk.afterKill())).index.messages, 2);
  });
}

test('a spool of a newer format, or of one that is too old, is refused and left as it is', async () => {
  for (const version of [1, 4]) {
    const disk = await diskWith({ '00000001.seg': ofFormat(version) });
    await assert.rejects(openSpool(optionsFor('/spool'), disk), (error: Error) => {
      assert.equal(error.name, 'SpoolFolderError');
      assert.match(error.message, new RegExp(`written in format ${version}, and this Postern reads format`));
      return true;
    });
    assert.deepEqual(await versionsOn(disk), [version]);
  }
});
