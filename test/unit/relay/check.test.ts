/** A check reads what a running process keeps on disk, and leaves it as it is. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { Greylist } from '../../../src/facts/greylist.ts';
import { keepGreylist } from '../../../src/facts/greylist_file.ts';
import { PushedHashes } from '../../../src/facts/recipient_hashes.ts';
import type { CheckRequest } from '../../../src/relay/check.ts';
import { checkMessage } from '../../../src/relay/check.ts';
import { openStand } from '../../../src/relay/check_stand.ts';
import { readPolicyDocument } from '../../../src/relay/policy_loading.ts';
import { parseCommand } from '../../../src/smtp/command.ts';
import { systemDisk } from '../../../src/spool/disk.ts';
import { temporaryFolder } from '../../support/folders.ts';

const DOMAIN = 'here.example';

function commands(...recipients: readonly string[]): CheckRequest['commands'] {
  const lines = ['EHLO mail.x.example', 'MAIL FROM:<a@x.example>', ...recipients.map((each) => `RCPT TO:<${each}>`)];
  return lines.map((line) => {
    const command = parseCommand(line);
    assert.ok(command.verb !== 'mistake');
    return command;
  });
}

/** A policy in a spool folder of its own, and what is said to recipients under it. */
function setUp(yaml: string) {
  const spoolDir = temporaryFolder('check-stand');
  const file = join(spoolDir, 'policy.yaml');
  writeFileSync(file, yaml);
  const said = async (...recipients: readonly string[]) => {
    const loaded = loadConfig({
      POSTERN_DOMAINS: DOMAIN,
      POSTERN_INSIDE_ROUTE: 'smtp://127.0.0.1:2',
      POSTERN_SPOOL_DIR: spoolDir,
      POSTERN_CONFIG: file,
      POSTERN_DNS_SERVERS: '127.0.0.1:9',
    });
    assert.ok('config' in loaded);
    const stand = await openStand({ config: loaded.config, filters: true, onFiltered: () => {} });
    assert.ok('relay' in stand, JSON.stringify(stand));
    const report = await checkMessage(stand.relay, {
      ...{ address: '192.0.2.7', door: 'outside', login: null, tls: false, content: null },
      commands: commands(...recipients),
    });
    stand.close();
    return { report, notes: stand.notes };
  };
  return { spoolDir, file, said };
}

test('who has waited long enough by the greylist on disk passes, and his visit is not noted', async () => {
  const { spoolDir, file, said } = setUp('greylist: { waitSeconds: 60, knownAfter: 0 }');
  const read = readPolicyDocument(file);
  assert.ok('document' in read);
  const { greylist } = read.document;
  assert.ok(greylist !== undefined);
  const path = join(spoolDir, 'greylist');
  const kept = await keepGreylist(systemDisk, path, greylist.entriesMax, assert.fail);
  const before = () => Date.now() - 600_000;
  const visit = { address: '192.0.2.7', sender: 'a@x.example', recipient: `old@${DOMAIN}` };
  assert.equal(new Greylist(kept.memory, greylist, before).waits(visit), true);
  await kept.close();
  const bytes = readFileSync(path);
  for (let time = 0; time < 2; time++) {
    const { report } = await said(`old@${DOMAIN}`, `new@${DOMAIN}`);
    const grey = report.stages
      .filter(({ stage }) => stage === 'rcpt')
      .map(({ asked }) => asked.find(({ source }) => source === 'greylist')?.facts['grey.waiting']);
    assert.deepEqual([grey, report.verdict, report.refusals], [[false, true], 'accepted', 1]);
  }
  assert.deepEqual(readFileSync(path), bytes);
});

test('recipients that were pushed are known from disk; before the first push nobody can tell', async () => {
  const { spoolDir, said } = setUp('recipients: { source: hashes }');
  const unsure = await said(`bob@${DOMAIN}`);
  assert.equal(unsure.report.verdict, 'deferred');
  const { asked } = unsure.report.stages.at(-1)!;
  assert.ok(asked.some(({ trouble }) => trouble === 'no recipients have been pushed yet'));
  const salt = Buffer.alloc(16, 7);
  const upload = new PushedHashes(systemDisk, spoolDir, () => {}).beginUpload(salt);
  assert.ok(typeof upload !== 'string');
  upload.add(Buffer.from(`${createHash('sha256').update(salt).update(`bob@${DOMAIN}`).digest('hex')}\n`));
  assert.equal(await upload.commit(), null);
  const { report, notes } = await said(`bob@${DOMAIN}`, `eve@${DOMAIN}`);
  assert.deepEqual(
    report.stages.filter(({ stage }) => stage === 'rcpt').map(({ reply }) => reply[0]?.slice(0, 9)),
    ['250 2.1.5', '550 5.1.1'],
  );
  assert.match(notes.join('\n'), /recipients: as pushed last/);
});

test('limits count from nothing, and say so', async () => {
  const { said } = setUp('limits: [ { name: each, by: [client], count: recipients, rate: 1/h } ]');
  for (let time = 0; time < 2; time++) {
    const { report, notes } = await said(`bob@${DOMAIN}`, `eve@${DOMAIN}`);
    assert.deepEqual([report.refusals, report.verdict], [1, 'accepted']);
    assert.match(notes.join('\n'), /limits: .* here nothing is/);
  }
});

test('a failed rule shows what it looked at, one that is over leaves the rest untried', async () => {
  const { said } = setUp(`
rules:
  - { id: one, when: { helo: other.example }, do: { reject: "No" } }
  - { id: two, when: { helo: { like: "mail.*" } }, do: { reject: "No mail" } }
  - { id: three, when: { helo: { known: true } }, do: { reject: "Nobody" } }`);
  const { report } = await said(`bob@${DOMAIN}`);
  assert.deepEqual(
    report.stages.map(({ stage }) => stage),
    ['connect', 'helo'],
  );
  const { rules, reply } = report.stages.at(-1)!;
  assert.deepEqual(rules, [
    {
      ...{ rule: 'one', action: 'reject', dryRun: false, matched: false },
      because: [{ fact: 'helo', value: 'mail.x.example', test: 'is other.example' }],
    },
    {
      ...{ rule: 'two', action: 'reject', dryRun: false, matched: true },
      because: [{ fact: 'helo', value: 'mail.x.example', test: 'like mail.*' }],
    },
  ]);
  assert.deepEqual(reply, ['550 5.7.1 No mail [two]']);
});
