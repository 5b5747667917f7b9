/**
 * Turns recipients that failed for good into a delivery status notification (RFC 3464), a message of our own that is
 * queued like any other. Never for the null sender: a bounce does not bounce (RFC 5321 §4.5.5).
 */
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { buildDsn } from '../message/dsn.ts';
import type { Envelope } from '../message/envelope.ts';
import type { Outcome } from '../smtp/client.ts';
import type { Spool, Stored } from '../spool/spool.ts';
import type { Relay } from './relay.ts';

export type FailedRecipient = {
  /** Index in the envelope. */
  readonly recipient: number;
  readonly outcome: Outcome;
  /** It was deferred until its time was over. */
  readonly expired: boolean;
  /** The host that said so, '' when none was reached. */
  readonly host: string;
};

/** Resolves to the queued bounce, or null when nobody wants one. Rejects with SpoolFailure. */
export async function writeBounce(
  relay: Relay,
  message: Stored,
  failed: readonly FailedRecipient[],
): Promise<Stored | null> {
  const { envelope } = message;
  const wanted = failed.filter(({ recipient }) => wantsFailure(envelope, recipient));
  if (wanted.length === 0) return null;
  if (envelope.sender === '') {
    relay.logger.log('bounce-dropped', { id: envelope.id, recipients: wanted.length });
    return null;
  }
  const id = relay.nextId();
  const nowMs = wallMs();
  const dsn = buildDsn({
    id,
    hostname: relay.config.hostname,
    postmaster: relay.config.postmaster,
    nowMs,
    envelope,
    headers: await readHeaders(relay.spool, message),
    recipients: wanted.map(({ recipient, outcome, expired, host }) => ({
      recipient: envelope.recipients[recipient]!,
      code: outcome.code,
      enhanced: outcome.enhanced,
      text: outcome.text,
      expired,
      host,
      lastAttemptMs: nowMs,
    })),
  });
  const bytes = Buffer.from(dsn.text, 'utf8');
  const draft = relay.spool.begin(bytes.length);
  draft.write(bytes, 0, bytes.length);
  const bounce = await draft.commit({
    id,
    origin: 'local',
    acceptedMs: nowMs,
    sender: '',
    smtpUtf8: dsn.smtpUtf8,
    recipients: [{ address: envelope.sender, notify: 'never' }],
    content: {
      bytes: bytes.length,
      dotted: /^\./m.test(dsn.text),
      eightBit: bytes.length !== dsn.text.length,
      endsInCrlf: true,
      headerBytes: dsn.text.indexOf('\r\n\r\n') + 4,
    },
    edits: [],
  });
  relay.metrics.count('dsn_queued');
  relay.logger.log('bounce', { id, about: envelope.id, to: envelope.sender, recipients: wanted.length });
  return bounce;
}

/** RFC 3461 §4.1: failures are reported unless the sender asked for something else. */
function wantsFailure(envelope: Envelope, recipient: number): boolean {
  const { notify } = envelope.recipients[recipient]!;
  return notify === undefined || (notify !== 'never' && notify.includes('failure'));
}

/** The header section as received, one char per byte, cut at a bound. */
async function readHeaders(spool: Spool, message: Stored): Promise<string> {
  const wanted = Math.min(message.envelope.content.headerBytes, LIMITS.bounceHeaderBytesMax);
  let text = '';
  for await (const chunk of spool.read(message)) {
    text += chunk.toString('latin1', 0, Math.min(chunk.length, wanted - text.length));
    if (text.length >= wanted) break;
  }
  return text;
}
