/**
 * The RFCs that Postern follows, and those that one might expect and does not find. The code cites them where it
 * enforces them (`RFC 5321 §4.5.2`); a citation of one that is not listed here fails test/tidy.
 *
 * `yes`: all that concerns a relay. `partly`: the note says what. `no`: the note says what happens instead.
 */
export type Support = 'yes' | 'partly' | 'no';

export type Rfc = readonly [support: Support, title: string, note: string];

export const RFCS: Readonly<Record<number, Rfc>> = {
  // The session and the envelope.
  821: [
    'no',
    'Simple Mail Transfer Protocol',
    'replaced by RFC 5321; a 552 to RCPT is understood as it was meant there',
  ],
  5321: ['yes', 'Simple Mail Transfer Protocol', 'VRFY is 252, EXPN 502; source routes are accepted and ignored'],
  1870: ['yes', 'SIZE', ''],
  1985: ['no', 'ETRN', '502'],
  2033: ['partly', 'LMTP', 'as a client towards inside servers; LHLO from clients is refused'],
  2034: ['yes', 'ENHANCEDSTATUSCODES', ''],
  2554: ['partly', 'AUTH', 'as RFC 4954, which replaced it; servers that list mechanisms in its way are understood'],
  2852: ['no', 'DELIVERBY', 'not offered: 555'],
  2920: ['yes', 'PIPELINING', ''],
  3030: ['partly', 'CHUNKING and BINARYMIME', 'CHUNKING; BINARYMIME is not offered'],
  3207: ['yes', 'STARTTLS', 'opportunistic towards MXes, unless configured'],
  3461: [
    'yes',
    'DSN',
    'no alias is expanded here; NOTIFY=NEVER to a server without DSN keeps its sender (§5.2.2 d lets it be nulled)',
  ],
  3885: ['no', 'MTRK', 'not offered: 555'],
  4616: ['yes', 'SASL PLAIN', 'as a client of a smart host'],
  4865: ['no', 'FUTURERELEASE', 'not offered: 555'],
  4954: ['partly', 'AUTH', 'as a client of a smart host, PLAIN and LOGIN; never offered to clients'],
  6152: ['yes', '8BITMIME', '8-bit content goes as it is to a server without it, so that signatures survive'],
  6531: ['yes', 'SMTPUTF8', ''],
  6710: ['no', 'MT-PRIORITY', 'not offered: 555'],
  7505: ['yes', 'Null MX', ''],
  8314: ['no', 'Cleartext considered obsolete', 'it speaks of submission and access, which are not here'],
  8689: ['no', 'REQUIRETLS', 'not offered: 555'],
  9422: ['partly', 'LIMITS', 'RCPTMAX and MAILMAX, said and obeyed; RCPTDOMAINMAX is neither'],

  // Status codes and notifications.
  3463: ['yes', 'Enhanced status codes', ''],
  3464: ['yes', 'Delivery status notifications', 'failed, delayed, relayed, delivered; nothing is expanded here'],
  3834: ['yes', 'Automatic responses', 'for our notifications'],
  5248: ['yes', 'Registry of enhanced status codes', ''],
  6522: ['yes', 'multipart/report', ''],
  6533: ['yes', 'Internationalized DSN', 'for delivery; dispositions (MDN) are for who reads mail'],

  // Content.
  3848: ['yes', 'Transmission types', 'in our Received fields'],
  5322: ['partly', 'Internet message format', 'what a relay writes (Received, DSNs) and counts; content is not mended'],

  2047: ['partly', 'MIME encoded words', 'decoded for rules about subjects and names'],
  2045: ['partly', 'MIME bodies', 'quoted-printable in our notifications; content is passed on as it is'],
  2046: ['partly', 'MIME media types', 'as above; delimiters are found, for rules about parts'],
  2183: ['partly', 'Content-Disposition', 'names of attachments, for rules about them'],
  2231: ['partly', 'MIME parameters in pieces', 'read in names of attachments'],
  7578: ['partly', 'multipart/form-data', 'written for filters that speak our own protocol'],

  // Names, addresses, DNS.
  1034: ['partly', 'Domain names: concepts', "as a client: CNAMEs are followed; recursion is the resolver's"],
  1035: ['partly', 'Domain names', 'lengths of names, messages to a resolver'],
  1122: ['partly', 'Requirements for hosts', 'how a connection with unread octets is closed'],
  1918: ['yes', 'Private addresses', 'no MX may point there, unless configured'],
  2181: ['partly', 'Clarifications to DNS', 'TTLs; an MX that is a CNAME is followed all the same'],
  2308: ['yes', 'Negative caching', ''],
  3056: ['partly', '6to4', 'judged by the IPv4 address inside'],
  3629: ['yes', 'UTF-8', ''],
  3696: ['yes', 'Checking names', 'a last label is not all digits'],
  3986: ['partly', 'URI', 'routes are written as URLs'],
  4291: ['yes', 'IPv6 addresses', ''],
  5452: ['yes', 'DNS answers against forgery', 'random ids and ports'],
  4511: ['partly', 'LDAP', 'as a client that searches, by ldapts'],
  5782: ['yes', 'DNS lists', 'their test entries are not asked for at run time'],
  5890: ['yes', 'IDNA: definitions', ''],
  5891: ['partly', 'IDNA: protocol', 'by the mapping of the URL standard (UTS 46), which takes a few names more'],
  5952: ['yes', 'IPv6 text', 'address literals are sent on in this form'],
  6052: ['partly', 'IPv6 translators', 'judged by the IPv4 address inside'],
  6598: ['yes', 'Shared address space', 'as RFC 1918'],
  6698: ['no', 'DANE', 'TLSA records can be read, nothing is decided by them'],
  6840: ['partly', 'DNSSEC clarifications', "the AD bit is asked for and read; validation is the resolver's"],
  6891: ['partly', 'EDNS', 'payload size and extended codes'],
  7766: ['partly', 'DNS over TCP', 'after a truncated answer, one query a connection'],
  8020: ['no', 'NXDOMAIN cut', 'the DNS server of the tests keeps to it'],
  8767: ['no', 'Serving stale DNS data', 'its bound of TTLs alone'],
  9520: ['yes', 'Caching of resolution failures', ''],

  // TLS.
  6066: ['partly', 'TLS extensions', 'server name, towards names'],
  8996: ['yes', 'TLS 1.0 and 1.1 deprecated', 'TLS 1.2 and later'],

  // Trust.
  6008: ['yes', 'header.b in Authentication-Results', ''],
  6376: ['partly', 'DKIM', 'verified; nothing is signed. l= counts only where it covers the whole body'],
  7208: ['yes', 'SPF', 'explanations are not passed on'],
  7435: ['yes', 'Opportunistic security', 'TLS where it is offered, clear text rather than none'],
  7489: ['partly', 'DMARC', 'as RFC 9989, which replaced it: the tree walk, t= in place of pct=; reports are not sent'],
  7672: ['no', 'DANE for SMTP', 'opportunistic TLS only'],
  8461: ['no', 'MTA-STS', 'opportunistic TLS only'],
  8301: ['yes', 'DKIM algorithms and key usage', ''],
  8410: ['yes', 'Ed25519 keys', 'as the keys of RFC 8463 are written for the library'],
  8463: ['yes', 'DKIM with Ed25519', ''],
  8601: ['yes', 'Authentication-Results', ''],
  8617: ['partly', 'ARC', 'chains are verified; nothing is sealed'],
  9989: ['partly', 'DMARC', 'results and policies; reports are not sent'],
  9990: ['partly', 'DMARC aggregate reports', 'what they need is counted; they are not sent'],

  // The admin API.
  6750: ['partly', 'Bearer tokens', 'for pushed recipients, in the header; nobody issues them but the operator'],
};
