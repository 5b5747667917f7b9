/** Paths, mailboxes and domains: what is taken, in which form, and what is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parsePath, printMailbox } from '../../../src/smtp/address.ts';
import { parseDomain } from '../../../src/smtp/domain.ts';

const long = (count: number, char = 'a'): string => char.repeat(count);
/** 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253 */
const DOMAIN_253 = [long(63), long(63, 'b'), long(63, 'c'), long(61, 'd')].join('.');

describe('a path is taken', () => {
  const table: readonly (readonly [path: string, local: string, domain: string])[] = [
    ['<a@b>', 'a', 'b'],
    ['<a@b.example>', 'a', 'b.example'],
    ["<!#$%&'*+-/=?^_`{|}~@b.example>", "!#$%&'*+-/=?^_`{|}~", 'b.example'],
    ['<User.Name@Example.COM>', 'User.Name', 'example.com'],
    ['<a@under_score.example>', 'a', 'under_score.example'],
    ['<a@xn--bcher-kva.example>', 'a', 'xn--bcher-kva.example'],
    ['<a@1.2.3.x4>', 'a', '1.2.3.x4'],
    // What looks like routing in a local part is none.
    ['<user%other.example@b.example>', 'user%other.example', 'b.example'],
    ['<other.example!user@b.example>', 'other.example!user', 'b.example'],
    ['<"user@other.example"@b.example>', '"user@other.example"', 'b.example'],
    ['<"a@evil x"@good.example>', '"a@evil x"', 'good.example'],
    ['<"a>b"@good.example>', '"a>b"', 'good.example'],
    ['<"<a@b>"@good.example>', '"<a@b>"', 'good.example'],
    // Quotes: only those that are needed are kept.
    ['<"plain"@b>', 'plain', 'b'],
    ['<"a.b"@b>', 'a.b', 'b'],
    ['<"a\\b"@b>', 'ab', 'b'],
    ['<"a..b"@b>', '"a..b"', 'b'],
    ['<".a"@b>', '".a"', 'b'],
    ['<""@b>', '""', 'b'],
    ['<" "@b>', '" "', 'b'],
    ['<"a\\"b\\\\c"@b>', '"a\\"b\\\\c"', 'b'],
    ['<"a\\ b"@b>', '"a b"', 'b'],
    ['<"postmaster"@b>', 'postmaster', 'b'],
    // Literals.
    ['<a@[192.0.2.1]>', 'a', '[192.0.2.1]'],
    ['<a@[IPv6:2001:DB8:0:0:0:0:0:1]>', 'a', '[IPv6:2001:db8::1]'],
    ['<a@[ipv6:::1]>', 'a', '[IPv6:::1]'],
    ['<a@[IPv6:::ffff:192.0.2.1]>', 'a', '[IPv6:::ffff:c000:201]'],
    // Source routes (RFC 5321 appendix C).
    ['<@one.example:a@b.example>', 'a', 'b.example'],
    ['<@one.example,@two.example:a@b.example>', 'a', 'b.example'],
    ['<@[192.0.2.1],@[IPv6:::1]:a@b.example>', 'a', 'b.example'],
    ['<@one.example:"a:b"@b.example>', '"a:b"', 'b.example'],
    // Without a domain (RFC 5321 §4.5.1).
    ['<Postmaster>', 'Postmaster', ''],
    ['<POSTMASTER>', 'POSTMASTER', ''],
    // International (RFC 6531 §3.3).
    ['<jörg@bücher.example>', 'jörg', 'xn--bcher-kva.example'],
    ['<"jörg x"@B.example>', '"jörg x"', 'b.example'],
    ['<"jörg"@b.example>', 'jörg', 'b.example'],
    ['<用户@例え.テスト>', '用户', 'xn--r8jz45g.xn--zckzah'],
    ['<a@BÜCHER.example>', 'a', 'xn--bcher-kva.example'],
    // Lengths (RFC 5321 §4.5.3.1).
    [`<${long(64)}@b>`, long(64), 'b'],
    [`<a@${long(63)}.example>`, 'a', `${long(63)}.example`],
    [`<@b:${long(64)}@b>`, long(64), 'b'],
  ];
  for (const [path, local, domain] of table) {
    test(path.slice(0, 70), () => {
      assert.deepEqual(parsePath(path), { mailbox: { local, domain }, end: path.length });
    });
  }

  test('a path of 256 octets is the longest', () => {
    const domain = DOMAIN_253.slice(0, 252);
    const path = `<a@${domain}>`;
    assert.equal(path.length, 256);
    assert.deepEqual(parsePath(path), { mailbox: { local: 'a', domain }, end: 256 });
    assert.equal(parsePath(`<ab@${domain}>`), null);
    assert.equal(parsePath(`<é@${domain}>`), null);
    assert.equal(parsePath(`<@b:a@${domain}>`), null);
  });

  test('the null path, and what follows a path is left alone', () => {
    assert.deepEqual(parsePath('<>'), { mailbox: null, end: 2 });
    assert.deepEqual(parsePath('<> BODY=7BIT'), { mailbox: null, end: 2 });
    assert.equal(parsePath('<a@b>>')?.end, 5);
    assert.equal(parsePath('<"a> b"@b> SIZE=1')?.end, 10);
  });
});

describe('a path is refused', () => {
  const table: readonly string[] = [
    '',
    'a@b',
    '<a@b',
    'a@b>',
    '<a>',
    '<@>',
    '<a@>',
    '<@b>',
    '< a@b>',
    '<a@b >',
    '<a b@c>',
    '<a@b c>',
    '<a@b@c>',
    '<a..b@c>',
    '<.a@c>',
    '<a.@c>',
    '<a,b@c>',
    '<a:b@c>',
    '<(comment)a@c>',
    '<a@c(comment)>',
    '<<a@b>>',
    '<Name <a@b>>',
    '<"a"b@c>',
    '<b"a"@c>',
    '<"a".b@c>',
    '<"a@c>',
    '<"a\\"@c>',
    '<"a\x7f"@c>',
    '<"\\é"@c>',
    '<"a\tb"@c>',
    '<postmaste\u0072\u0307>',
    '<poſtmaster>',
    '<@one.example:Postmaster>',
    // Domains.
    '<a@-b.example>',
    '<a@b-.example>',
    '<a@b.example->',
    '<a@b..example>',
    '<a@.example>',
    '<a@b.example.>',
    '<a@192.0.2.1>',
    '<a@b.123>',
    '<a@b$c>',
    '<a@b/c>',
    `<a@${long(64)}.example>`,
    // Literals.
    '<a@[]>',
    '<a@[192.0.2]>',
    '<a@[192.0.2.256]>',
    '<a@[192.0.2.01]>',
    '<a@[0x7f.0.0.1]>',
    '<a@[::1]>',
    '<a@[IPv6:192.0.2.1]>',
    '<a@[IPv6:::1%eth0]>',
    '<a@[IPv6:1:2:3:4:5:6:7:8:9]>',
    '<a@[x:y]>',
    '<a@[192.0.2.1].example>',
    '<a@x[192.0.2.1]>',
    // Source routes.
    '<@one.example>',
    '<@one.example:>',
    '<@one.example,two.example:a@b>',
    '<@one.example,:a@b>',
    '<@one.example:@two.example:a@b>',
    // What the host parser of URL would have made of it.
    '<a@b\u00fc.example:25>',
    '<a@b\u00fc.example/x>',
    '<a@x\u00fc@b.example>',
    '<a@b\u00fc%2eexample>',
    '<a@\uff11\uff12\uff17.1>',
    '<a@\u00ad>',
    '<a@b\u00fc.example.>',
    '<a@b\uff0fc.example>',
    '<a@xn--\u00fc.example>',
    // Lengths.
    `<${long(65)}@b>`,
    `<"${long(63)}"@b>`,
    `<${long(33, 'é')}@b>`,
    `<@${DOMAIN_253}:a@b.example>`,
  ];
  for (const path of table) test(JSON.stringify(path).slice(0, 70), () => assert.equal(parsePath(path), null));
});

describe('of paths in general', () => {
  const char = fc.constantFrom(...'ab.@"\\<> :,[]%!-_1é例\t\x7f');
  const garbage = fc.string({ unit: char, maxLength: 10 });
  const piece = fc.oneof(
    garbage,
    garbage.map((text) => `"${text}"`),
    fc.constantFrom('a', 'a.b', '[192.0.2.1]', '@r:a'),
  );
  const pathLike = fc.tuple(piece, fc.constantFrom('@', '', '@@'), piece).map((pieces) => `<${pieces.join('')}>`);

  test('what is parsed prints and parses again to the same', () => {
    let taken = 0;
    fc.assert(
      fc.property(pathLike, (text) => {
        const path = parsePath(text);
        if (path === null || path.mailbox === null) return;
        taken++;
        const printed = `<${printMailbox(path.mailbox)}>`;
        assert.deepEqual(parsePath(printed), { mailbox: path.mailbox, end: printed.length });
      }),
      { numRuns: 20_000, seed: 5321 },
    );
    assert.ok(taken > 500, `${taken} of the random paths were paths`);
  });

  test('any local part can be quoted, and comes back as what it is', () => {
    const body = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
      maxLength: 30,
    });
    fc.assert(
      fc.property(body, (text) => {
        const quoted = `"${text.replace(/[\\"]/g, '\\$&')}"`;
        const local = parsePath(`<${quoted}@b.example>`)?.mailbox?.local;
        assert.ok(local === text || local === quoted, `${local}`);
        assert.equal(parsePath(`<${quoted}@b.example>`)?.mailbox?.domain, 'b.example');
      }),
    );
  });

  test('a domain is its own canonical form', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aZ09.-_[]:büßİſ。'), maxLength: 20 });
    fc.assert(
      fc.property(text, (each) => {
        const domain = parseDomain(each);
        if (domain === null) return;
        assert.equal(parseDomain(domain), domain);
        assert.match(domain, /^[a-z0-9._-]+$|^\[(IPv6:[0-9a-f:]+|[0-9.]+)\]$/);
      }),
      { numRuns: 5000 },
    );
  });

  test('time is linear: long garbage is refused at once', () => {
    for (const unit of ['"', '\\"', '@', 'a.', '@a,', '<', '"\\', '[', 'é"']) {
      assert.equal(parsePath(`<${unit.repeat(2000)}>`), null);
    }
  });
});
