/**
 * Signs answers on the fly (RFC 4034 §3, ECDSAP256SHA256 of RFC 6605), so that a validating resolver finds them
 * authentic. Enough for positive answers of one zone; there are no NSECs.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { Answer, Packet } from 'dns-packet';
import { encode } from 'dns-packet';

export type ZoneSigner = {
  /** As unbound's `trust-anchor` wants it. */
  readonly trustAnchor: string;
  readonly key: Answer;
  /** `packet` with a signature for every set of records in its answer. */
  signed(packet: Packet): Packet;
};

const ECDSA_P256_SHA256 = 13;
const KEY_FLAGS = 257; // zone key, secure entry point
const HEADER_BYTES = 12;
const DAY_SECONDS = 86_400;

export function makeZoneSigner(zone: string): ZoneSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
  const data = { flags: KEY_FLAGS, algorithm: ECDSA_P256_SHA256, key: point };
  const key: Answer = { type: 'DNSKEY', name: zone, class: 'IN', ttl: 60, data };
  const tag = keyTag(rdata(key));

  const signatureOf = (records: readonly Answer[]): Answer => {
    const { name, type } = records[0]!;
    const now = Math.floor(Date.now() / 1000);
    const unsigned = {
      typeCovered: type,
      algorithm: ECDSA_P256_SHA256,
      labels: name.split('.').length,
      originalTTL: 60,
      expiration: now + DAY_SECONDS,
      inception: now - DAY_SECONDS,
      keyTag: tag,
      signersName: zone,
    };
    const rrsig = (signature: Buffer): Answer => {
      return { type: 'RRSIG', name, class: 'IN', ttl: 60, data: { ...unsigned, signature } };
    };
    const sorted = records.map(wire).sort(Buffer.compare); // RFC 4034 §6.3; same name, type and length here
    const message = Buffer.concat([rdata(rrsig(Buffer.alloc(0))), ...sorted]);
    return rrsig(sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
  };

  return {
    trustAnchor: `${zone}. DNSKEY ${KEY_FLAGS} 3 ${ECDSA_P256_SHA256} ${point.toString('base64')}`,
    key,
    signed: (packet) => {
      const sets = Map.groupBy(packet.answers ?? [], ({ name, type }) => `${type} ${name}`);
      return { ...packet, answers: [...sets.values()].flatMap((records) => [...records, signatureOf(records)]) };
    },
  };
}

/** One record, names not compressed: its canonical form where they are in lower case (RFC 4034 §6.2). */
const wire = (record: Answer): Buffer => encode({ type: 'response', answers: [record] }).subarray(HEADER_BYTES);

function rdata(record: Answer): Buffer {
  const nameBytes = record.name.length + 2;
  return wire(record).subarray(nameBytes + 10);
}

/** RFC 4034 appendix B. */
function keyTag(bytes: Buffer): number {
  let sum = 0;
  for (const [at, byte] of bytes.entries()) sum += at % 2 === 0 ? byte << 8 : byte;
  return (sum + (sum >> 16)) & 0xffff;
}
