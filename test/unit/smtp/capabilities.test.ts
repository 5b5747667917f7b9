/** What an EHLO reply says, and that nonsense in it says nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Capabilities } from '../../../src/smtp/capabilities.ts';
import { NO_CAPABILITIES, parseCapabilities } from '../../../src/smtp/capabilities.ts';

const parse = (...lines: string[]): Capabilities =>
  parseCapabilities({ code: 250, enhanced: '', lines: ['mx.example at your service', ...lines] });

describe('an EHLO line', () => {
  const table: readonly (readonly [lines: string | readonly string[], says: Partial<Capabilities>])[] = [
    ['PIPELINING', { pipelining: true }],
    ['8BITMIME', { eightBitMime: true }],
    ['SMTPUTF8', { smtpUtf8: true }],
    ['CHUNKING', { chunking: true }],
    ['DSN', { dsn: true }],
    ['STARTTLS', { startTls: true }],
    ['ENHANCEDSTATUSCODES', { enhancedCodes: true }],
    ['pipelining', { pipelining: true }],
    [' PIPELINING ', { pipelining: true }],
    ['SIZE', { sizeBytesMax: 0 }],
    ['SIZE 0', { sizeBytesMax: 0 }],
    ['SIZE 10485760', { sizeBytesMax: 10_485_760 }],
    ['SIZE many', { sizeBytesMax: 0 }],
    ['SIZE -1', { sizeBytesMax: 0 }],
    ['SIZE 99999999999999999999', { sizeBytesMax: 0 }],
    ['AUTH PLAIN LOGIN', { auth: ['PLAIN', 'LOGIN'] }],
    ['auth plain', { auth: ['PLAIN'] }],
    ['AUTH=LOGIN PLAIN', { auth: ['LOGIN', 'PLAIN'] }],
    [['AUTH PLAIN', 'AUTH=PLAIN LOGIN'], { auth: ['PLAIN', 'LOGIN'] }],
    ['AUTH', { auth: [] }],
    ['LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1', { recipientsMax: 20, messagesMax: 5, recipientDomainsMax: 1 }],
    ['LIMITS rcptmax=20 FUTUREMAX=1', { recipientsMax: 20 }],
    ['LIMITS RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX', {}],
    // Unknown, or none at all.
    ['XCLIENT NAME', {}],
    ['PIPELINING=1', {}],
    ['constructor', {}],
    ['__proto__', {}],
    ['', {}],
    [['SIZE 5', 'PIPELINING', 'X-NEW 1', 'STARTTLS'], { sizeBytesMax: 5, pipelining: true, startTls: true }],
  ];
  for (const [lines, says] of table) {
    test(`${JSON.stringify(lines)} says ${JSON.stringify(says)}`, () => {
      const all = typeof lines === 'string' ? [lines] : lines;
      assert.deepEqual(parse(...all), { ...NO_CAPABILITIES, ...says });
    });
  }

  test('is not the first, which is a name', () => {
    assert.deepEqual(parseCapabilities({ code: 250, enhanced: '', lines: ['PIPELINING'] }), NO_CAPABILITIES);
  });

  test('of any text is read without an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (lines) => {
        assert.equal(typeof parse(...lines).pipelining, 'boolean');
      }),
      { numRuns: 200 },
    );
  });
});
