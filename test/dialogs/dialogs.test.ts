/**
 * Plays every dialog file against a Postern, twice: each step in one write, and each byte in a write of its own. What
 * arrives at the next hop is compared byte for byte, and nothing else may arrive.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificate } from '../support/certificates.ts';
import { startDnsServer } from '../support/dns_server.ts';
import { temporaryFolder, writeCertificate } from '../support/folders.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startPostern } from '../support/postern.ts';
import { SmtpClient } from '../support/smtp_client.ts';
import { SmtpPeer, withoutTrace } from '../support/smtp_peer.ts';
import type { Arriving, Dialog, Step } from './dialog.ts';
import { readDialog } from './dialog.ts';

const FOLDER = import.meta.dirname;
const DIALOGS = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.dialog'))
  .sort()
  .map((file) => readDialog(join(FOLDER, file), basename(file, '.dialog').replaceAll('_', ' ')));

type Way = 'whole' | 'byte by byte';

const groups = Map.groupBy(DIALOGS, ({ environment }) =>
  Object.entries(environment)
    .map((setting) => setting.join('='))
    .sort()
    .join(' '),
);

for (const [name, dialogs] of groups) describe(name === '' ? 'as configured by default' : name, () => group(dialogs));

function group(dialogs: readonly Dialog[]): void {
  let postern: PosternProcess;
  let peer: SmtpPeer;
  let stopAll: () => Promise<void>;
  before(async () => {
    peer = await SmtpPeer.start();
    const zone = {
      'there.example': { MX: [{ preference: 10, exchange: 'mx.there.example' }] },
      'mx.there.example': { A: ['127.0.0.1'] },
    };
    const dns = await startDnsServer({ zone });
    const files = writeCertificate(temporaryFolder('tls'), 'postern', makeCertificate({ names: ['postern.example'] }));
    postern = await startPostern({
      INSIDE_ROUTE: peer.url,
      OUTSIDE_PORT: String(peer.port),
      DNS_SERVERS: `${dns.host}:${dns.port}`,
      TLS_CERT: files.certFile,
      TLS_KEY: files.keyFile,
      ...dialogs[0]?.environment,
    });
    stopAll = async () => {
      await postern.stop();
      await peer.close();
      await dns.close();
    };
  });
  after(() => stopAll?.());
  for (const dialog of dialogs) {
    for (const way of ['whole', 'byte by byte'] as const) {
      test(`${dialog.name}, ${way}`, async () => {
        const before = peer.messages.length;
        const ids = await play(dialog, postern, way);
        await compare(dialog.arriving, ids, peer);
        assert.equal(peer.messages.length - before, ids.length, 'no message arrives but those that were answered 250');
      });
    }
  }
}

/** Gives the ids of the messages that were accepted. */
async function play(dialog: Dialog, postern: PosternProcess, way: Way): Promise<string[]> {
  const client = await SmtpClient.connect(postern[dialog.side]);
  try {
    for (const step of dialog.steps) {
      try {
        await perform(step, client, way);
      } catch (error) {
        const { message } = error as Error;
        throw new Error(`line ${step.line}: ${message}\n--- Postern said ---\n${client.transcript}`);
      }
    }
    if (!client.closed)
      assert.match(await rest(client), /^221 |^421 |^554 /m, 'nothing is said that the file does not have');
  } finally {
    client.destroy();
  }
  return [...client.transcript.matchAll(/^250[ -].* queued as (\S+)/gm)].map((match) => match[1] as string);
}

/** QUIT, so that a reply too many shows, and what came until the close. */
async function rest(client: SmtpClient): Promise<string> {
  const said = client.transcript.length;
  await client.send('QUIT\r\n');
  await client.close();
  const words = client.transcript.slice(said);
  assert.equal(words.trim().split('\r\n').length, 1, `a reply too many: ${words}`);
  return words;
}

async function perform(step: Step, client: SmtpClient, way: Way): Promise<void> {
  switch (step.tag) {
    case 'say':
      return say(client, step.pieces.join(''), way);
    case 'hear': {
      const heard = step.whole ? (await client.reply()).text : await client.line();
      if (!step.expected.test(heard)) throw new Error(`expected ${step.shown}, got ${heard}`);
      return;
    }
    case 'tls':
      await client.secure();
      return;
    case 'close':
      return client.close();
    case 'hangup':
      client.end();
      return client.close();
  }
}

async function say(client: SmtpClient, text: string, way: Way): Promise<void> {
  if (way === 'whole') return client.send(text);
  for (const byte of text) await client.send(byte);
}

async function compare(arriving: readonly Arriving[], ids: readonly string[], peer: SmtpPeer): Promise<void> {
  assert.equal(ids.length, arriving.length, 'messages answered 250');
  for (const [at, expected] of arriving.entries()) {
    const message = await peer.receivedId(ids[at] as string);
    assert.equal(message.sender, expected.sender);
    assert.deepEqual([...message.recipients].sort(), [...expected.recipients].sort());
    assert.equal(withoutTrace(message.content), expected.content);
    assert.doesNotMatch(message.wire, /\r(?!\n)|(?<!\r)\n/, 'no CR or LF stands alone');
  }
}
