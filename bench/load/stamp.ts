/**
 * The stamp: the first header field of a message of the load source, by which the sink knows it again.
 *
 *   X-Bench-Stamp: 00c0ffee 0000000042 0000012345678901 0000004096 9a0b1c2d CRLF
 *                  run      number     sent, µs         bytes      CRC-32
 *
 * Bytes and CRC-32 are those of everything after the stamp's line, dots not doubled, so a relay that puts header
 * fields on top leaves them valid and one that changes anything below does not. Every field has a fixed width: the
 * source patches number and time into a prebuilt message and touches nothing else. Time is the machine's monotonic
 * clock, which all processes on it share.
 */
import { crc32 } from 'node:zlib';

const NAME = 'X-Bench-Stamp: ';
const RUN_AT = NAME.length;
const NUMBER_AT = RUN_AT + 9;
const SENT_AT = NUMBER_AT + 11;
const BYTES_AT = SENT_AT + 17;
const CRC_AT = BYTES_AT + 11;
/** The stamp's line with its CRLF. */
export const STAMP_BYTES = CRC_AT + 10;
const CRLF_NAME = Buffer.from(`\r\n${NAME}`);

const ORIGIN_US = (() => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3 - performance.now() * 1e3;
})();

/** Microseconds of the machine's monotonic clock, whole. */
export const nowUs = (): number => Math.floor(ORIGIN_US + performance.now() * 1e3);

export type Stamp = {
  readonly run: number;
  readonly number: number;
  readonly sentUs: number;
  readonly bytes: number;
  readonly crc: number;
};

/** `content` with a stamp's line before it: number and time are zero until `patchStamp`. */
export function withStamp(run: number, content: Buffer): Buffer {
  const crc = crc32(content).toString(16).padStart(8, '0');
  const bytes = content.length.toString().padStart(10, '0');
  const line = `${NAME}${run.toString(16).padStart(8, '0')} ${'0'.repeat(10)} ${'0'.repeat(16)} ${bytes} ${crc}\r\n`;
  return Buffer.concat([Buffer.from(line, 'latin1'), content]);
}

/** Writes number and time into a message that starts with a stamp's line. */
export function patchStamp(message: Buffer, number: number, sentUs: number): void {
  writeDigits(message, NUMBER_AT, 10, number);
  writeDigits(message, SENT_AT, 16, sentUs);
}

/**
 * Where the stamp's line starts in the head of a message as it arrived, or -1. `head` must hold the first bytes of the
 * message; a line that is not all there yet is not found.
 */
export function findStamp(head: Buffer): number {
  let at = 0;
  if (head.toString('latin1', 0, NAME.length) !== NAME) {
    const found = head.indexOf(CRLF_NAME);
    if (found === -1) return -1;
    at = found + 2;
  }
  return at + STAMP_BYTES <= head.length ? at : -1;
}

/** The stamp whose line starts at `at`, or undefined where its fields are damaged. */
export function readStamp(head: Buffer, at: number): Stamp | undefined {
  const run = readNumber(head, at + RUN_AT, 8, 16);
  const number = readNumber(head, at + NUMBER_AT, 10, 10);
  const sentUs = readNumber(head, at + SENT_AT, 16, 10);
  const bytes = readNumber(head, at + BYTES_AT, 10, 10);
  const crc = readNumber(head, at + CRC_AT, 8, 16);
  if (run < 0 || number < 0 || sentUs < 0 || bytes < 0 || crc < 0) return undefined;
  if (head[at + STAMP_BYTES - 2] !== 13 || head[at + STAMP_BYTES - 1] !== 10) return undefined;
  return { run, number, sentUs, bytes, crc };
}

function writeDigits(into: Buffer, at: number, width: number, value: number): void {
  let rest = value;
  for (let i = at + width - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10);
    into[i] = 48 + rest - tenth * 10;
    rest = tenth;
  }
}

/** Digits of `base` and nothing else, then a space or CR: -1 otherwise. */
function readNumber(from: Buffer, at: number, width: number, base: 10 | 16): number {
  let value = 0;
  for (let i = at; i < at + width; i++) {
    const digit = digitOf(from[i] ?? 0);
    if (digit < 0 || digit >= base) return -1;
    value = value * base + digit;
  }
  const after = from[at + width];
  return after === 32 || after === 13 ? value : -1;
}

function digitOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 97 && byte <= 102) return byte - 87;
  return -1;
}
