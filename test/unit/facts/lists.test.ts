import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listsSection } from '../../../src/config/policy/lists.ts';
import { KeySet, keySetMemory } from '../../../src/facts/key_set.ts';
import { addEntry, hasValue, parseEntry } from '../../../src/facts/list_entry.ts';
import { loadList } from '../../../src/facts/list_loading.ts';
import { SharedLists } from '../../../src/facts/lists.ts';
import { temporaryFolder } from '../../support/folders.ts';

const FOLDER = temporaryFolder('lists');
const file = (name: string, text: string): string => {
  const path = join(FOLDER, name);
  writeFileSync(path, text);
  return path;
};

function listOf(...lines: readonly string[]): (value: string, nowSeconds?: number) => boolean {
  const set = new KeySet(keySetMemory(lines.length));
  for (const line of lines) {
    const entry = parseEntry(line);
    assert.ok(entry !== null && typeof entry !== 'string', `${line}: ${entry}`);
    addEntry(set, entry);
  }
  return (value, nowSeconds = 1_800_000_000) => hasValue(set, value, nowSeconds);
}

test('an address is on a list that has it, or a network around it', () => {
  const has = listOf('192.0.2.0/24', '198.51.100.7', '2001:db8::/32', '2001:db9::1', '::ffff:203.0.113.0/120');
  for (const value of ['192.0.2.0', '192.0.2.255', '198.51.100.7', '2001:db8:ffff::1', '2001:db9::1', '203.0.113.9'])
    assert.ok(has(value), value);
  for (const value of ['192.0.3.0', '198.51.100.8', '2001:db7::', '2001:db9::2', '203.0.114.1', '', '24:c0000200'])
    assert.ok(!has(value), value);
  assert.ok(listOf('0.0.0.0/0')('255.255.255.255'));
  assert.ok(!listOf('0.0.0.0/0')('::1'));
});

test('names, with a dot in front also those below, with a star only those', () => {
  const has = listOf('mx.example.org', '.example.net', '*.example.com', 'münchen.example');
  for (const value of ['MX.example.org', 'example.net', 'a.b.example.net', 'a.example.com', 'xn--mnchen-3ya.example'])
    assert.ok(has(value), value);
  for (const value of ['example.org', 'a.mx.example.org', 'badexample.net', 'example.com', '.example.net', 'net'])
    assert.ok(!has(value), value);
});

test('mail addresses, and all of a domain', () => {
  const has = listOf('Jane.Doe@Example.org', '@example.net');
  for (const value of ['jane.doe@example.org', 'JANE.DOE@example.org', 'anybody@example.net'])
    assert.ok(has(value), value);
  for (const value of ['john@example.org', 'a@sub.example.net', 'example.net', '@example.org'])
    assert.ok(!has(value), value);
});

test('an entry ends at its expiry, and the later of two counts', () => {
  const seconds = Date.parse('2027-01-31T12:00Z') / 1000;
  const has = listOf('a.example expires=2027-01-31T12:00Z # for now', 'b.example expires=2020-01-01', 'b.example');
  assert.ok(has('a.example', seconds - 1));
  assert.ok(!has('a.example', seconds));
  assert.ok(has('b.example', seconds));
});

test('lines that are none of these are told with what is wrong', () => {
  for (const line of ['10.0.0.1/8', '10.0.0.0/33', '300.1.1.1', 'a b', 'a expires=soon', 'a expires=2027-13-01'])
    assert.equal(typeof parseEntry(line), 'string', line);
  for (const line of ['x@', 'a/b', '.a b', `${'a'.repeat(2000)}`, '*.-', 'ü@ü ü', 'a\x01b'])
    assert.equal(typeof parseEntry(line), 'string', line);
  for (const line of ['', '  ', '# only words', '\r']) assert.equal(parseEntry(line), null);
});

test('a file is read whole, the last line without its end too', async () => {
  const path = file('good', '# deny\r\n192.0.2.0/24\r\n\r\nexample.org expires=2099-01-01\r\nlast.example');
  const loaded = await loadList('deny', { entries: ['inline.example'], file: path });
  assert.ok('memory' in loaded);
  const lists = new SharedLists({ deny: loaded.memory });
  for (const value of ['192.0.2.4', 'example.org', 'last.example', 'inline.example'])
    assert.ok(lists.has('deny', value), value);
  assert.ok(!lists.has('deny', 'other.example'));
  assert.ok(!lists.has('allow', 'example.org'), 'a list that is not there');
  assert.ok(lists.has('10.0.0.0/8', '10.1.2.3'), 'a network in the place of a name');
});

test('every bad line is told with its number, up to a bound, and nothing is loaded', async () => {
  const path = file('bad', `ok.example\n10.0.0.1/8\n${'a b\n'.repeat(100)}`);
  const loaded = await loadList('deny', { entries: ['x y'], file: path });
  assert.ok('faults' in loaded);
  assert.match(loaded.faults[0]!, /^deny: entry 1: /);
  assert.equal(loaded.faults[1], `${path}:2: bits are set behind the prefix`);
  assert.equal(loaded.faults.at(-1), '82 further bad lines');
});

test('a file that is not there, and one that is a line without end', async () => {
  const missing = await loadList('deny', { entries: [], file: join(FOLDER, 'missing') });
  assert.deepEqual(missing, { faults: [`deny: ${join(FOLDER, 'missing')}: cannot be read (ENOENT)`] });
  const endless = await loadList('deny', { entries: [], file: file('endless', 'x'.repeat(3_000_000)) });
  assert.ok('faults' in endless && /:1: the line is too long/.test(endless.faults[0]!));
});

test('a long list is read in slices: other work goes on meanwhile', async () => {
  const path = file('long', Array.from({ length: 200_000 }, (_, at) => `h${at}.example`).join('\n'));
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  const loaded = await loadList('long', { entries: [], file: path });
  clearInterval(counting);
  assert.ok('memory' in loaded);
  assert.equal(new KeySet(loaded.memory).count, 200_000);
  assert.ok(turns > 3, `${turns} turns`);
  const lists = new SharedLists({ long: loaded.memory });
  assert.ok(lists.has('long', 'h199999.example') && !lists.has('long', 'h200000.example'));
});

test('the section is strict', () => {
  assert.ok(listsSection.safeParse({ deny: { entries: ['a'] }, allow: { file: '/etc/allow' } }).success);
  for (const wrong of [{ deny: {} }, { 'Bad Name': { file: 'x' } }, { deny: { file: 'x', more: 1 } }])
    assert.ok(!listsSection.safeParse(wrong).success, JSON.stringify(wrong));
});
