/** An envelope and a header section as mail has them, for the micro-benchmarks. */
import type { Envelope } from '../../src/spool/spool.ts';

export const CONTENT_BYTES = 4096;

export const HEADER = [
  'Received: from mail.example.org (mail.example.org [192.0.2.1])',
  '\tby mx.example.com (Postern) with ESMTPS id mib3k2x9-a1b2c3-00-0001',
  '\tfor <bob@example.com>; Tue, 24 Nov 2026 12:00:00 +0000',
  'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;',
  `\th=from:to:subject:date; bh=${'A'.repeat(43)}=; b=${'B'.repeat(64)}`,
  'From: Alice <alice@example.org>',
  'To: Bob <bob@example.com>',
  'Subject: lunch',
  'Date: Tue, 24 Nov 2026 12:00:00 +0000',
  'Message-ID: <1234.5678@example.org>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  '',
  '',
].join('\r\n');

export const envelopeTo = (recipients: number): Envelope => ({
  id: 'mib3k2x9-a1b2c3-00-0001',
  origin: 'outside',
  acceptedMs: 1_795_000_000_000,
  sender: 'alice@example.org',
  smtpUtf8: false,
  recipients: Array.from({ length: recipients }, (_, at) => ({ address: `user${at}@example.com` })),
  content: { bytes: CONTENT_BYTES, dotted: false, eightBit: false, endsInCrlf: true, headerBytes: HEADER.length },
  edits: [{ at: 0, drop: 0, insert: 'Received: from x\r\n\tby mx.example.com; Tue, 24 Nov 2026 12:00:00 +0000\r\n' }],
});
