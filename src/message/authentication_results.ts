/**
 * Authentication-Results (RFC 8601): the field that we write, and the forged ones under our name that we take out.
 *
 *   Authentication-Results: mx.example.com;
 *   	spf=pass smtp.mailfrom=example.org;
 *   	dkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256 header.b=Zq7pD1aX;
 *   	dmarc=fail reason="not aligned" header.from=example.net
 *
 * What strangers said is printed as a token or a quoted string, or left out where it is neither: nothing of it can end
 * the field or be taken for another result.
 */
import { assert } from '../base/assert.ts';
import type { Edit } from './envelope.ts';
import type { Field } from './headers.ts';

/** One method's result; properties that are null are left out. */
export type MethodResult = {
  readonly method: string;
  readonly result: string;
  readonly reason: string | null;
  readonly properties: readonly (readonly [name: string, value: string | null])[];
};

const LINE_CHARS = 78;
const VALUE_CHARS_MAX = 255;
/** RFC 2045 §5.1. */
const TOKEN = /^[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+$/;
const WORD = /^[a-z][a-z0-9.-]*$/;

/** The whole field with its CRLF, folded. Without results it says so (RFC 8601 §2.2). */
export function authenticationResults(hostname: string, results: readonly MethodResult[]): string {
  assert(TOKEN.test(hostname), 'our own name is a word');
  const start = `Authentication-Results: ${hostname};`;
  if (results.length === 0) return `${start} none\r\n`;
  return `${start}${results.map(resultLine).join(';')}\r\n`;
}

function resultLine({ method, result, reason, properties }: MethodResult): string {
  assert(WORD.test(method) && WORD.test(result), 'methods and results are words');
  const words = [`${method}=${result}`];
  const said = reason === null ? null : quoted(reason);
  if (said !== null) words.push(`reason=${said}`);
  for (const [name, value] of properties) {
    const shown = value === null ? null : printed(value);
    if (shown !== null) words.push(`${name}=${shown}`);
  }
  let text = '\r\n\t';
  let column = 1;
  for (const word of words) {
    if (column > 1 && column + 1 + word.length >= LINE_CHARS) {
      text += `\r\n\t${word}`;
      column = 1 + word.length;
    } else {
      text += column > 1 ? ` ${word}` : word;
      column += word.length + 1;
    }
  }
  return text;
}

const printed = (value: string): string | null =>
  value.length <= VALUE_CHARS_MAX && TOKEN.test(value) ? value : quoted(value);

const quoted = (value: string): string | null =>
  value === '' || value.length > VALUE_CHARS_MAX || !/^[\x20-\x7e]+$/.test(value)
    ? null
    : `"${value.replace(/["\\]/g, '\\$&')}"`;

/** RFC 8601 §5: fields that claim to be ours, as edits that take them out. `fields` in order, names in lower case. */
export function forgedResults(fields: readonly Field[], hostname: string): Edit[] {
  const own = hostname.toLowerCase();
  return fields
    .filter(({ name, value }) => name === 'authentication-results' && claims(value, own))
    .map(({ start, end }) => ({ at: start, drop: end - start, insert: '' }));
}

/**
 * Whether a reader might take it for ours. The authserv-id stands first (§2.2), between blanks, folds and comments, as
 * a token or a quoted string; a version may follow. What cannot be read is judged by whether our name is in it.
 */
function claims(value: string, own: string): boolean {
  const id = authservId(value);
  if (id !== null) return id.toLowerCase().replace(/\.$/, '') === own;
  return value.toLowerCase().includes(own);
}

function authservId(value: string): string | null {
  let at = 0;
  for (;;) {
    while (at < value.length && ' \t\r\n'.includes(value[at]!)) at++;
    if (value[at] !== '(') break;
    at = commentEnd(value, at);
    if (at === -1) return null;
  }
  if (value[at] === '"') {
    const match = /^"((?:[^"\\]|\\.)*)"/s.exec(value.slice(at));
    return match === null
      ? null
      : match[1]!
          .replace(/\\(.)/gs, '$1')
          .replace(/\r?\n[ \t]?/g, '')
          .trim();
  }
  const match = /^[^\s;()"/=,]+/.exec(value.slice(at));
  return match === null ? null : match[0];
}

function commentEnd(value: string, from: number): number {
  let depth = 0;
  for (let at = from; at < value.length; at++) {
    const char = value[at]!;
    if (char === '\\') at++;
    else if (char === '(') depth++;
    else if (char === ')' && --depth === 0) return at + 1;
  }
  return -1;
}
