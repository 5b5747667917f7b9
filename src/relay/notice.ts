/**
 * The room that writes notices: a delivery status notification (RFC 3464) is a message of our own, from the null
 * sender, that is queued like any other. Who gets one is decided in policy/notice.ts, what it is about in
 * settlement.ts.
 *
 *   Notice ─► the original's headers, or all of it, from the spool ─► message/dsn.ts ─► draft ─► commit ─► queue
 *                                                                                                  └─► Notice.changes
 *
 * How much of the original comes back: all of it where the sender asked for RET=FULL and delivery failed (RFC 3461
 * §4.3), and to the postmaster, for whom a double bounce is the only trace; where it is larger than
 * POSTERN_BOUNCE_BYTES_MAX, and everywhere else, its headers. So also without RET, where the RFC leaves it to us: the
 * sender has his message, and a forged one should not be carried on to the sender that it claims.
 */
import { wallMs } from '../base/clock.ts';
import { LIMITS } from '../config/limits.ts';
import { buildDsn } from '../message/dsn.ts';
import type { Envelope } from '../message/envelope.ts';
import type { Unreported } from '../policy/notice.ts';
import { daemonAt, doubleBounceEnvid } from '../policy/notice.ts';
import type { Spool, SpoolFailure, Stored } from '../spool/spool.ts';
import type { CounterId } from '../telemetry/metrics.ts';
import type { Relay } from './relay.ts';
import type { Notice } from './settlement.ts';

const COUNTERS = {
  failed: 'dsn_failed',
  delayed: 'dsn_delayed',
  relayed: 'dsn_relayed',
  delivered: 'dsn_delivered',
} as const satisfies Record<Notice['kind'], CounterId>;

/**
 * One per shard. A site that is given up, or an outage that has lasted some hours, makes thousands of notices due in
 * one turn of the event loop: a few are written at a time, and who dispatches stops while many wait.
 */
export class NoticeDesk {
  readonly #relay: Relay;
  readonly #waiting: (() => void)[] = [];
  #idle: () => void = () => {};
  #writing = 0;

  constructor(relay: Relay) {
    this.#relay = relay;
  }

  /** Nothing should be settled that can wait. */
  get crowded(): boolean {
    return this.#waiting.length >= LIMITS.noticesWaitingMax;
  }

  /** Resolves when none is under way: before the spool is closed. */
  async idle(): Promise<void> {
    if (this.#writing === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /**
   * Writes a notice, queues it, and marks what it tells of; the caller holds the message meanwhile. False: there was no
   * room for it, and the failure that it tells of is not recorded either; to be settled again later. Other notices are
   * not worth a second delivery: without room they are dropped.
   */
  async tell(message: Stored, notice: Notice): Promise<boolean> {
    if (this.#writing < LIMITS.noticesWritingMax) this.#writing++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#told(message, notice);
    } finally {
      const next = this.#waiting.shift();
      if (next !== undefined)
        next(); // it takes over our place
      else if (--this.#writing === 0) this.#idle();
    }
  }

  async #told(message: Stored, notice: Notice): Promise<boolean> {
    const relay = this.#relay;
    try {
      relay.outbound.enqueue(await writeNotice(relay, message, notice));
    } catch (error) {
      const reason = relay.spoolFailed(error);
      if (reason === 'broken' || notice.kind === 'failed') return false;
      logUnreported(relay, message.envelope, notice.kind, reason, notice.recipients.length);
    }
    if (notice.changes.length > 0) await relay.record(message.row, notice.changes);
    return true;
  }
}

/** What nobody is told of leaves a line. */
export function logUnreported(
  relay: Relay,
  envelope: Envelope,
  kind: Notice['kind'],
  reason: Unreported | SpoolFailure['reason'],
  recipients: number,
): void {
  relay.metrics.count('dsn_dropped');
  relay.logger.log('bounce-dropped', { id: envelope.id, from: envelope.sender, kind, reason, recipients });
}

/** Resolves to the queued notification. Rejects with SpoolFailure. */
async function writeNotice(relay: Relay, message: Stored, notice: Notice): Promise<Stored> {
  const { config } = relay;
  const { envelope } = message;
  const { kind, host, attemptMs, untilMs } = notice;
  const id = relay.nextId();
  const nowMs = wallMs();
  const double = notice.to === 'postmaster';
  const to = double ? config.postmaster : envelope.sender;
  const dsn = buildDsn({
    ...(await readOriginal(relay.spool, message, notice, config.bounceBytesMax)),
    kind,
    id,
    hostname: config.hostname,
    postmaster: config.postmaster,
    nowMs,
    to,
    from: daemonAt(config.hostname),
    envelope,
    recipients: notice.recipients.map(({ recipient, outcome: { code, enhanced, text }, expired }) => ({
      recipient: envelope.recipients[recipient]!,
      code,
      enhanced,
      text,
      expired,
      host,
      lastAttemptMs: attemptMs,
      ...(kind === 'delayed' ? { willRetryUntilMs: untilMs } : {}),
    })),
  });
  const bytes = Buffer.from(dsn.octets, 'latin1');
  const draft = relay.spool.begin(bytes.length);
  draft.write(bytes, 0, bytes.length);
  const queued = await draft.commit({
    id,
    origin: 'local',
    acceptedMs: nowMs,
    sender: '',
    smtpUtf8: dsn.smtpUtf8,
    ...(double ? { envid: doubleBounceEnvid(id) } : {}),
    recipients: [{ address: to, notify: 'never' }], // RFC 3461 §6.1
    content: {
      bytes: bytes.length,
      dotted: /^\./m.test(dsn.octets),
      eightBit: /[^\x00-\x7f]/.test(dsn.octets),
      endsInCrlf: true,
      headerBytes: dsn.octets.indexOf('\r\n\r\n') + 4,
    },
    edits: [],
  });
  relay.metrics.count(double ? 'dsn_double' : COUNTERS[kind]);
  const recipients = notice.recipients.length;
  relay.logger.log('bounce', { id, about: envelope.id, kind: double ? 'double' : kind, to, recipients });
  return queued;
}

type Original = { readonly headers: string; readonly content?: string };

/** As received, one char per byte, within the bound. */
async function readOriginal(spool: Spool, message: Stored, notice: Notice, bytesMax: number): Promise<Original> {
  const { ret, content } = message.envelope;
  const asked = notice.to === 'postmaster' || ret === 'full';
  const whole = asked && notice.kind === 'failed' && content.bytes <= bytesMax;
  const octets = await readStart(spool, message, Math.min(whole ? content.bytes : content.headerBytes, bytesMax));
  return whole ? { headers: octets.slice(0, content.headerBytes), content: octets } : { headers: octets };
}

async function readStart(spool: Spool, message: Stored, wanted: number): Promise<string> {
  let octets = '';
  if (wanted === 0) return octets;
  for await (const chunk of spool.read(message)) {
    octets += chunk.toString('latin1', 0, Math.min(chunk.length, wanted - octets.length));
    if (octets.length >= wanted) break;
  }
  return octets;
}
