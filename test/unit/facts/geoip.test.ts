import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { geoipSection } from '../../../src/config/policy/geoip.ts';
import { geoipSource, loadGeoip } from '../../../src/facts/geoip.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { mmdb } from '../../support/mmdb.ts';
import { subject } from './subject.ts';

const FOLDER = temporaryFolder('geoip');
const COUNTRIES = mmdb('GeoLite2-Country', {
  '193.0.0.0/16': { country: { iso_code: 'NL' } },
  '8.8.0.0/16': { registered_country: { iso_code: 'US' } },
  '9.9.9.0/24': { country: { iso_code: 'not a code' } },
  '2001:470::/32': { country: { iso_code: 'US' } },
});
const SYSTEMS = mmdb('GeoLite2-ASN', { '193.0.0.0/20': { autonomous_system_number: 3333 } });

const file = (name: string, bytes: Buffer): string => {
  const path = join(FOLDER, name);
  writeFileSync(path, bytes);
  return path;
};

test('country and autonomous system of a client', async () => {
  const loaded = await loadGeoip({ country: file('country', COUNTRIES), asn: file('asn', SYSTEMS) });
  assert.ok('memory' in loaded, JSON.stringify(loaded));
  const source = geoipSource(loaded.memory);
  const facts = (address: string) => source.ask(subject({ address }), new AbortController().signal);
  assert.deepEqual(facts('193.0.6.1'), { facts: { 'client.country': 'NL', 'client.asn': 3333 } });
  assert.deepEqual(facts('193.0.99.1'), { facts: { 'client.country': 'NL' } });
  assert.deepEqual(facts('8.8.8.8'), { facts: { 'client.country': 'US' } });
  assert.deepEqual(facts('2001:470::1'), { facts: { 'client.country': 'US' } });
  for (const address of ['9.9.9.9', '1.1.1.1', '10.0.0.1', ''])
    assert.deepEqual(facts(address), { facts: {} }, address);
});

test('a file that is not there, or not of this format, is told', async () => {
  const missing = join(FOLDER, 'missing');
  const rubbish = file('rubbish', Buffer.alloc(1000, 'x'));
  assert.deepEqual(await loadGeoip({ country: missing, asn: rubbish }), {
    faults: [`${missing}: cannot be read (ENOENT)`, `${rubbish}: not a MaxMind DB`],
  });
});

test('a section without a file is a fault', () => {
  assert.ok(!geoipSection.safeParse({}).success);
  assert.ok(geoipSection.safeParse(undefined).success);
});

test('a damaged file is trouble at worst', async () => {
  for (let at = 0; at < COUNTRIES.length; at += 7) {
    const damaged = Buffer.from(COUNTRIES);
    damaged[at] = damaged[at]! ^ 0xff;
    const loaded = await loadGeoip({ country: file('damaged', damaged) });
    if ('faults' in loaded) continue;
    const source = geoipSource(loaded.memory);
    for (const address of ['193.0.6.1', '8.8.8.8', '9.9.9.9', '2001:470::1'])
      source.ask(subject({ address }), new AbortController().signal);
  }
});
