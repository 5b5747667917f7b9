// Large: one row a limit, and the table is read as a whole.
/**
 * Every limit that is not an option: `[value, why this value, what happens when it is reached]`, the unit in the name.
 * Whoever adds a queue, a buffer or a wait adds its row here.
 */
const TABLE = {
  // Sessions.
  commandLineBytesMax: [
    4096,
    'RFC 5321 §4.5.3.1.4 has 512, each extension adds its parameters (SIZE, ENVID, ORCPT: 500 more each), and SMTPUTF8 paths are longer',
    '500 5.5.2, the line is skipped to its end, and the session stays in step',
  ],
  lingerSeconds: [5, 'the last line reaches a client that reads at all', 'the connection is destroyed'],
  rateWindowMs: [60_000, 'a stalled minute on a bad line is forgiven, a slow sender is not', 'the rate is judged anew'],
  sweepMs: [
    500,
    'deadlines are of whole seconds; one timer for all connections of a shard',
    'deadlines are late by so much',
  ],
  proxyHeaderBytesMax: [
    536,
    'a PROXY header of version 2 fits the smallest TCP segment, as its specification asks of senders; version 1 has 107',
    '421 4.3.5, and the connection is closed',
  ],
  proxyHeaderSeconds: [10, 'balancers send it with the first segment', '421 4.3.5, and the connection is closed'],
  tlsHandshakeSeconds: [30, 'two round trips and a signature, on a bad line', 'the connection is destroyed'],

  // Policy.
  sourceMsMax: [
    8000,
    'a fact that somebody else is asked for: a resolver with its tries, a directory; a client waits for our reply',
    'the fact is missing, and rules that ask for it do not hold',
  ],
  unknownFree: [3, 'unknown recipients of a session that cost no wait: everybody mistypes', 'each further one waits'],
  unknownStepMs: [250, 'the first wait of who guesses addresses', 'it doubles with each'],
  unknownWaitMsMax: [8000, 'below what honest clients wait for a reply', 'it grows no further'],
  policyFileMs: [
    1000,
    'the policy file and the files that it names are looked at this often',
    'a change is in force when two looks have found the same',
  ],

  // Content.
  contentInlineBytes: [
    65_536,
    'most mail is smaller and then costs one journal write; a session holds at most this and one read in memory',
    'content streams into a file of its own',
  ],

  // Looking into content.
  mimeHeaderBytesMax: [
    65_536,
    'the header of a part; of a message too, and mail with a tenth of it is rare; one at a time is in memory',
    'the fault long-header; what lies behind is not looked at',
  ],
  mimeDepthMax: [20, 'parts within parts; people reach five or six', 'the fault too-deep; they are not looked into'],
  mimePartsMax: [
    1000,
    'mail with 1,000 attachments does not happen; each is some 200 bytes and its names',
    'the fault too-many-parts; further ones are not looked into',
  ],
  mimeNamesMax: [1000, 'two names a part are common', 'the fault too-many-names; further ones are not told'],
  mimeValueCharsMax: [
    8192,
    'Content-Type or Content-Disposition with a long name in several pieces is 1 KB',
    'the fault long-value; only so much of it is read',
  ],
  mimeNameCharsMax: [1000, 'file systems have 255 bytes', 'the name is cut from the front: its extension stays'],
  strippedPartsMax: [
    100,
    'parts taken out of one message, an edit of up to 1 KB each',
    'the message is not stripped but held',
  ],

  // Delivery.
  blockedSiteMs: [
    30_000,
    'a site of which no host can be reached costs a connection attempt each time it is tried',
    'the next message for it tries again',
  ],
  crowdedSiteMs: [
    5000,
    'a site that takes our other connections but not this one has had enough of us',
    'no new connection to it is opened for so long',
  ],
  giveWayMs: [
    500,
    'a shard that waits for a connection to a site asks again each quarter of a second',
    'whoever had more, and has closed one, opens none before that shard for so long',
  ],
  noticeRecipientsMax: [
    1000,
    'one notification with a group of up to 1.2 KB for each recipient: 1.2 MB while it is written',
    'further recipients are told of in a further notification',
  ],
  noticesWritingMax: [
    32,
    'notifications under way in a shard, each with up to 50 KB of the original three times over: 5 MB; a sync takes them all',
    'further ones wait',
  ],
  noticesWaitingMax: [
    1000,
    'notifications that wait for that, each with its message: 4 MB',
    'no scheduled parcel is dispatched until there are fewer',
  ],
  noticeRecipientsExplainedMax: [50, 'a person reads no more', 'the rest is counted; programs find them all'],

  targetsPerConnectionMax: [
    10,
    'hosts of a site that time out one after the other',
    'the site counts as unreachable for now',
  ],
  recipientsPerTransaction: [
    100,
    'RFC 5321 §4.5.3.1.8: every server takes so many; who takes more says so (RFC 9422)',
    'the rest goes in a further transaction',
  ],
  againMax: [
    100,
    'a parcel may go back to its site without counting as an attempt: split recipients, connections that died idle',
    'it is deferred like any other',
  ],

  // The queue.
  fewRecipientsMax: [
    10,
    'mail to a few people is read by them, mail to many can wait a moment',
    'mail to more is bulk: it has one turn in eight at its site while there is other mail',
  ],
  wakesMax: [
    64,
    'reads of messages at rest under way: 4 threads of libuv are kept busy, and nobody else waits long for them',
    'sites have turns for the next one',
  ],
  readyBytesMax: [
    67_108_864,
    'messages read ahead for connections that are busy, over all sites of a shard',
    'only connections that wait for work get some',
  ],
  lookUpsMax: [
    500,
    'domains of mail at rest whose hosts are being looked up; a dozen queries each stay within dnsWaitingMax',
    'the rest waits at rest for one of these to end',
  ],
  endingsMax: [16, 'messages at rest that get a notice, woken at once; each is a commit', 'further ones wait at rest'],
  marksMax: [
    10_000,
    'marks of a wave of deferred mail on their way to the journal, 300 bytes each: 3 MB',
    'the wave waits for the disk',
  ],
  lastAttemptMs: [
    60_000,
    'who becomes due at the very end of its time has so long to get a connection for its last attempt',
    'it fails, and its sender is told',
  ],
  downSitesMax: [
    10_000,
    'sites that are down, some 200 bytes each: 2 MB',
    'the queue of the one that is down longest is not released when it answers, but comes when it is due',
  ],
  stalledMs: [
    60_000,
    'longer than any turn of a queue takes when all is well; servers have deadlines of their own',
    'queue-stalled is logged; each tick gives all who wait a push in any case',
  ],

  // DNS.
  dnsConcurrentMax: [
    200,
    'look-ups under way, a socket each: at 5 ms against a resolver nearby 40,000 a second, at 20 s for dead domains 10',
    'further ones wait',
  ],
  dnsWaitingMax: [
    10_000,
    'look-ups waiting for a slot, some 300 bytes each: 3 MB',
    'the look-up fails (limit), and the mail is deferred with 4.4.3',
  ],
  dnsRecordsMax: [
    100,
    'no sane set of MXes, addresses or texts has more, and each costs work further in',
    'the look-up fails (limit)',
  ],
  dnsTextBytesMax: [
    16_384,
    'TXT of one name: SPF beside the verification strings of dozens of services is some 8 KB',
    'the look-up fails (limit)',
  ],
  dnsAliasesMax: [8, 'CNAMEs in a row; resolvers themselves give up between 8 and 16', 'the look-up fails (loop)'],
  dnsCacheEntriesMax: [20_000, 'answers kept by a shard; at 500 bytes 10 MB', 'the least recently used one goes'],
  dnsCacheBytesMax: [
    16_777_216,
    'the same bound for those who answer with 64 KiB each',
    'the least recently used ones go',
  ],
  dnsTtlSecondsMin: [1, 'a TTL of zero must not cost a look-up per recipient of a burst', 'kept this long at least'],
  dnsTtlSecondsMax: [86_400, 'RFC 8767 §4 has a week; a day bounds what a wrong record can do', 'kept no longer'],
  dnsNegativeTtlSecondsMax: [3600, 'RFC 2308 §5 has one to three hours', 'kept no longer'],
  dnsFailureSeconds: [5, 'RFC 9520 §3.2: at least 1 s; below any retry of ours', 'looked up anew'],
  dnsServerShunnedMs: [
    60_000,
    'a resolver that was silent costs each look-up its first wait',
    'the first of the list is tried first again',
  ],
  reverseNamesMax: [
    5,
    'names of one address that are looked up in turn: honest ones have one or two',
    'the rest are not believed',
  ],
  mxHostsMax: [
    20,
    'hosts of a domain: two look-ups each, and nobody tries more',
    'the ones preferred least are ignored',
  ],
  mxAddressesMax: [4, 'addresses of a host, two of each family: the next host is as good', 'the rest are ignored'],

  // Reputation.
  greylistWriteMs: [1000, 'what a crash may forget of the greylist', 'it is written'],
  greylistRetryTicks: [60, 'a disk that is full or broken is left in peace for a minute', 'it is tried again'],

  recipientQuestionsMax: [
    1000,
    'recipients that a directory is being asked for by a shard, some 1 KB each: 1 MB',
    'the next one is answered as if the directory had failed',
  ],
  recipientsKeptMax: [
    100_000,
    'known and unknown ones apart, of a shard, some 150 bytes each: 30 MB',
    'the one that was asked for first is forgotten, and asked for again',
  ],

  calloutsPerConnectionMax: [100, 'servers count commands without mail, and hang up', 'another connection is opened'],
  calloutIdleSeconds: [30, 'the next question of a busy minute; below what servers wait', 'it leaves with QUIT'],

  recipientHashesMax: [
    2_000_000,
    'pushed recipients, 16 bytes each in memory and 8 on disk: 32 MB, twice that while they are replaced',
    'the upload is refused, and the one before stays in force',
  ],

  geoipBytesMax: [
    268_435_456,
    'a file of countries is 10 MB, one of cities 70; in memory once for all shards',
    'the file is a fault of the policy file',
  ],

  // Authentication.
  authenticatedHeaderBytesMax: [
    65_536,
    'a session holds so much anyway; headers of real mail are a tenth of it',
    'no signature holds (permerror), the author is not known (dmarc permerror)',
  ],
  dkimSignaturesMax: [
    10,
    'real mail has three; each costs a key look-up and 0.05 ms',
    "those of the author's domain are taken first, then from the top; the rest is counted",
  ],
  dkimSignaturesReadMax: [100, 'whose turn it is among more than are verified', 'the rest is not read'],
  dkimBodyHashesMax: [
    4,
    'two canonicalisations, each with and without l=; a hash costs 0.6 ms a megabyte',
    'a signature that needs another is not verified (policy)',
  ],
  dkimQueriesMax: [25, 'keys of ten signatures, and of ten seals and their message signature', 'temperror'],
  dkimRsaBitsMin: [1024, 'RFC 8301 §3.2', 'the signature is not verified (policy)'],
  dkimRsaBitsMax: [
    4096,
    'RFC 8301 §3.2 asks for no more; verifying with 16,384 bits costs 40 times what 2048 cost',
    'the signature is not verified (policy)',
  ],
  dkimKeysMax: [2000, 'parsed keys kept by a shard, some 3 KB each: 6 MB', 'the least recently used one goes'],
  arcSetsMax: [
    10,
    'RFC 8617 §4.2.1 allows 50; each costs a key and a signature over all before it, and real chains have three',
    'the chain fails',
  ],
  spfTermsMax: [10, 'RFC 7208 §4.6.4', 'permerror'],
  spfVoidTermsMax: [2, 'RFC 7208 §4.6.4', 'permerror'],
  spfQueriesMax: [50, 'ten terms, some of them with the addresses of many MXes', 'temperror'],
  dmarcQueriesMax: [40, 'a walk of eight for the author, and for some of those who passed', 'temperror'],
  spfConclusionsMax: [10_000, 'clients and domains that a shard remembers, at 300 bytes: 3 MB', 'the oldest goes'],
  dmarcConclusionsMax: [5000, 'authors and signers that a shard remembers, at 500 bytes: 3 MB', 'the oldest goes'],
  conclusionKeyCharsMax: [1000, 'an author with ten signers of usual names has 300', 'it is not remembered'],
  conclusionSecondsMax: [600, 'what DNS says may change, whatever its TTL was', 'it is concluded anew'],

  // Content filters. Each number holds for one message at one filter unless it says otherwise.
  filterBehindBytes: [
    16_384,
    'content that a filter has not taken (shared by all filters); its socket holds 64 KiB',
    'the client is read no further until the filter has caught up',
  ],
  filterWholeBytes: [
    65_536,
    'clamd and HTTP get a message of this size in one piece, once it is all there (memory shared by all filters)',
    'a larger one streams while it comes',
  ],
  filterAnswerBytesMax: [
    1_048_576,
    'rspamd says some 10 KB; symbols with long options may be some 100 KB',
    'the filter has failed (bounds)',
  ],
  filterHookAnswerBytesMax: [
    8_388_608,
    'a body in base64, 6 MB of it; reading so much JSON holds a shard up for some 30 ms',
    'failed (bounds)',
  ],
  filterChangesMax: [
    500,
    'header fields and recipients that are changed; a chatty filter adds some 20',
    'failed (bounds)',
  ],
  filterChangeBytesMax: [262_144, 'the text of all these: a signature is 1 KB, an ARC set 5 KB', 'failed (bounds)'],
  filterBodyBytesMax: [16_777_216, 'a replaced body is held in memory', 'failed (bounds)'],
  filterBodiesBytesMax: [
    67_108_864,
    'the replaced bodies of all messages that a filter is just telling us, for each shard',
    'failed (bounds)',
  ],
  filterNamesMax: [200, 'symbols or viruses that are remembered, 100 characters each', 'the rest are left out'],
  filterReplyTextMax: [400, 'one reply line is 512 octets (RFC 5321 §4.5.3.1.5)', 'the text is cut'],
  filterIdleConnectionsMax: [20, 'connections kept for the next message, for each shard', 'further ones are closed'],
  filterIdleSeconds: [20, 'below the patience of those who listen', 'the connection is closed'],
  clamdIdleSeconds: [3, 'CommandReadTimeout of clamd may be 5', 'the session is closed'],
  milterPacketBytesMax: [
    131_072,
    'MILTER_CHUNK_SIZE is 65,535, and some filters count their own header to it',
    'failed (malformed)',
  ],
  milterAheadBytes: [
    131_072,
    'told to a milter before it has answered, two pieces of a body; it is in the socket, or waits for that',
    'replies are waited for before more is told',
  ],
  milterProgressMax: [10_000, 'a filter at work says so once a second or so', 'failed (malformed)'],
  milterFieldBytesMax: [
    60_000,
    'libmilter takes packets of 65,535; a field so large is no header of honest mail',
    'the rest of its value is not shown to milters',
  ],

  // The gate.
  shardHalfSpaceMib: [
    8,
    'a young heap is three of them, and they have that size from the start (gate/supervisor.ts): what a message needs is garbage within milliseconds; with 16 MiB V8 marks the old heap without end, since that grows by less between two collections',
    'V8 collects what is young, some ms at a time',
  ],
  shardHeapGrowthPercent: [
    150,
    'an old heap of 25 MiB, which is a usual one, grows to 60 before it is marked (gate/supervisor.ts); V8 itself would take anything from 10 to 300',
    'V8 marks what is old',
  ],
  listenBacklog: [
    4096,
    'a burst while main is busy for 0.1 s at 40,000 connects a second',
    'the kernel drops the SYN, clients try again',
  ],
  acceptPauseMs: [
    200,
    'descriptors have run out: a session or two has ended meanwhile; who waits is in the backlog',
    'accepting is tried again',
  ],
  refusedSocketsMax: [
    256,
    'refused clients that still read their 421; at 10 KB each',
    'the next refused one gets its line and is destroyed at once',
  ],
  refusedLingerMs: [
    2000,
    'a round trip for the line, and the close of a client that reads it',
    'the connection is destroyed',
  ],
  clientsTrackedMax: [
    200_000,
    'counters of clients at some 150 bytes: 30 MB; a client without sessions is forgotten after its minute',
    'clients without sessions are forgotten early, oldest first',
  ],
  shardStartMsMin: [100, 'a shard that dies is run again at once', 'the wait doubles with each early death'],
  shardStartMsMax: [30_000, 'a shard that cannot start must not fill the log', 'the wait grows no further'],
  shardYoungMs: [10_000, 'a death before this age is one of a shard that cannot run', 'the next start waits longer'],
  heartbeatLookMs: [
    5000,
    'main looks so often whether the shards still beat (statusMs): a few numbers in shared memory',
    'a shard that hangs is noticed so much later',
  ],
  heartbeatLooksMax: [
    12,
    'a minute: longer than any turn of the event loop that does some good, as of a queue of millions',
    'the shard hangs: its thread is ended, and it is run again',
  ],
  startMsMax: [600_000, 'journals of several GB are replayed in a few minutes', 'the start fails'],
  shutdownGraceMs: [2000, 'a shard that has cut its sessions still closes its journal', 'its thread is ended'],
  reportMs: [50, 'log lines travel to main in batches', 'main knows them so much later'],
  pressureMs: [
    1000,
    'what runs out does so in seconds; one statfs and one file of /proc each time',
    'a watermark is noticed so much later, and passed by what comes in it',
  ],
  pressureReadingMsMax: [
    10_000,
    'statfs waits for a free thread, and behind a busy disk',
    'free space counts as unknown until there is an answer',
  ],
  statusMs: [1000, 'gauges and the dashboard are as fresh as this', 'they are older'],

  adminConnectionsMax: [64, 'a few dashboards and Prometheus', 'further ones are closed'],
  adminRequestMsMax: [
    10_000,
    'requests are one line and some headers; a client may be silent as long',
    '408, or nothing, and the connection is closed',
  ],
  adminSweepMs: [1000, 'the limits of requests are of whole seconds', 'they are noticed so much later'],

  // Recipients that are pushed.
  pushMsMax: [600_000, '132 MB, the longest body, at 220 KB a second', '408, and what was in force stays'],
  pushSilenceMsMax: [10_000, 'whoever pushes has the whole of it at hand', 'the connection is closed, as above'],
  pushFailuresMax: [10, 'wrong tokens of one client (/32, /64): a script that is mended meanwhile', '429 for a while'],
  pushFailuresMs: [60_000, 'a guess every six seconds, at a token of 128 bits', 'the client may try again'],
  pushFailingClientsMax: [1000, 'clients whose wrong tokens are counted, 100 bytes each', 'the first is forgotten'],

  // The operator's queue commands.
  operatorRequestsMax: [
    4,
    'commands under way over all shards; a list of a million rows holds 16 MB in its shards',
    '503, ask again',
  ],
  operatorBodyBytesMax: [65_536, 'a filter with some 2,000 ids', '413, name fewer at once'],
  operatorTermsMax: [
    100,
    'terms of a filter are compared one by one: 25 ms a turn at worst',
    'the filter is refused: name fewer',
  ],
  operatorTermCharsMax: [
    1000,
    'the longest path (RFC 5321 §4.5.3.1.3) has 256 octets; names of sites are longer',
    'the filter is refused',
  ],
  operatorReasonCharsMax: [500, "a reason for a bounce is a line in the sender's notice", 'the command is refused'],
  operatorRowsPerChunk: [
    200,
    'rows of a list in one message between threads, at some 300 bytes: 60 KB',
    'the next chunk',
  ],
  operatorRowsPerTurn: [5000, 'messages looked at before sessions have their turn: about 2 ms', 'the next turn'],
  operatorWakesMax: [32, 'messages read from disk at once, at most 64 KiB each: 2 MB', 'the next ones wait'],
  operatorMarksMax: [
    500,
    'changes on their way to the journal; a batch takes them with one sync',
    'the next ones wait',
  ],
  operatorGroupsMax: [
    10_000,
    'sites or domains that stats counts apart, at some 200 bytes: 2 MB',
    'the rest is one group',
  ],
  operatorSilenceMsMax: [120_000, 'a chunk takes a few seconds on a busy disk', 'the command gives up'],
  operatorLineBytesMax: [
    16_777_216,
    'a line of an answer: a message with 10,000 recipients of 1 KB',
    'the command gives up',
  ],

  // Log lines.
  logBatchBytes: [65_536, 'one message between threads for some 250 lines', 'the batch leaves before its time'],
  logValueCharsMax: [500, 'values from the network must not blow up lines', 'the value is cut and ends in …'],
  logBufferBytesMax: [
    16_777_216,
    'standard output that is not read',
    'lines are dropped and counted (log_lines_dropped)',
  ],
} as const satisfies Record<string, readonly [value: number, why: string, then: string]>;

export type LimitKey = keyof typeof TABLE;

export const LIMIT_TABLE: Readonly<Record<LimitKey, readonly [value: number, why: string, then: string]>> = TABLE;

export const LIMITS = Object.fromEntries(Object.entries(TABLE).map(([key, [value]]) => [key, value])) as {
  readonly [Key in LimitKey]: number;
};
