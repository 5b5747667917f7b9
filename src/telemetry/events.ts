/**
 * Every event that Postern logs: its level, and what it says. `session` joins the lines of a session, `id` those of a
 * message (it is in our 250 and in Received, too), `shard` those of a shard.
 */
export const LEVELS = { debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
export type Level = keyof typeof LEVELS;

export const EVENTS = {
  // The process.
  starting: ['info', 'the configuration as it is in force, without secrets'],
  ready: ['info', 'connections are accepted, at these addresses'],
  stopping: ['info', 'a signal asked for the end: no new connection, open transactions finish'],
  stopped: ['info', 'all shards have closed their journals, or the time for it was over'],
  fatal: ['fatal', 'a defect of ours, or a port that cannot be had: the process ends'],
  'listener-failed': ['error', 'accepting failed for lack of descriptors or memory; it is tried again'],
  'policy-loaded': ['info', 'the policy file was read again and is in force'],
  'policy-refused': ['error', 'the policy file has faults; what was in force stays'],
  'tls-loaded': ['info', 'certificates for STARTTLS, at start and after SIGHUP'],
  'tls-refused': ['error', 'SIGHUP: the new files have faults; the old ones stay'],
  'token-loaded': ['info', 'SIGHUP: the token for pushes was read again and is in force'],
  'token-refused': ['error', 'SIGHUP: the file of the token has a fault; the old token stays'],
  'recipients-pushed': ['info', 'the inside has pushed so many recipients, and they are kept'],
  'push-refused': ['warn', 'recipients were pushed and are not in force, or the token was wrong; the old ones stay'],
  'log-dropped': ['warn', 'so many lines were dropped, since standard output was not read in time'],

  pressure: ['warn', 'the level of back-pressure has changed: for these reasons, at these readings'],
  'pressure-unknown': ['warn', 'a reading failed and counts as unknown; said once until it works again'],

  // Shards.
  'shard-ready': ['info', 'its journal is replayed, and it takes connections'],
  'shard-died': ['error', 'its sessions are closed; it is run again after a wait'],
  'shard-hung': ['error', 'its event loop does not turn any more: its thread is ended, which `shard-died` reports'],
  'shard-broken': ['error', 'its journal failed; it takes and delivers no mail until Postern is started anew'],
  scanner: ['info', 'the scanner in use, and why'],

  // Sessions.
  'connection-refused': ['info', 'the gate sent its last line and closed'],
  session: ['info', 'a session has ended: what it brought, how it ended'],
  rule: ['info', 'a rule of the policy held: what it does, and the facts that it looked at'],
  'source-trouble': ['warn', 'a fact could not be found out: nobody was there to ask, or the answer came late'],
  filter: ['info', 'a content filter did not simply accept a message'],
  'filter-breaker': ['warn', 'a content filter failed too often and is not asked for a while, or is asked again'],
  dmarc: ['info', 'what DMARC makes of a message whose author has a policy; with `client`, what a report needs of it'],
  discarded: ['info', 'a message was answered 250 and dropped, as a rule said'],
  refused: [
    'info',
    'a reply of class 4 or 5, by its key; of a rule also its id, the facts that it looked at, the milliseconds of whoever gave these, and how many rules were tried',
  ],
  accepted: ['info', 'a message is durable, and its 250 is on its way'],

  // Delivery.
  delivery: ['info', 'one attempt, and what became of its recipients'],
  deferred: ['info', 'nobody was there for so many who were due: they wait on, and none was woken for it'],
  'queue-stalled': ['error', 'who waits should move and has not for so long, though each tick gives it a push'],
  bounce: [
    'info',
    'a delivery status notification was queued: its `id`, the message that it is `about`, and its kind (failed, delayed, relayed, delivered; double: of a double bounce, to the postmaster)',
  ],
  'bounce-dropped': [
    'info',
    'nobody is told: null-sender, double-bounce (the report of one failed), not-wanted (NOTIFY); of another kind than failed: full (the disk), unreadable (the message)',
  ],

  // The operator.
  'admin-socket-failed': ['error', 'queue commands cannot reach this process; everything else goes on'],
  operator: ['info', 'a queue command that changes something: what was asked, and how much of it was done'],
  removed: ['info', 'a message, or some of its recipients, was deleted by the operator; nobody is told'],

  // The spool.
  'spool-recovered': ['info', 'the journal is replayed'],
  'spool-torn-tail': [
    'warn',
    'the journal ended in the middle of a record, as a crash leaves it; no promise was in it',
  ],
  'spool-corrupt': ['fatal', 'a damaged record with good ones behind it'],
  'spool-adopted': ['info', 'the journal of a shard that is no more was taken over'],
  'spool-stray': ['warn', "what lies in a shard's folder and is none of its journal; it is left alone"],
  'spool-lost': ['error', 'a message cannot be read from the disk any more, and is given up'],
  'spool-checkpoint': [
    'warn',
    'a checkpoint was not written, or not used: the journal is read instead, which takes longer',
  ],
  'spool-full': ['error', 'the disk is full: 452 until there is room'],
  'spool-broken': ['error', 'a write or sync failed, and the journal is closed for good'],
} as const satisfies Record<string, readonly [level: Level, meaning: string]>;

export type EventName = keyof typeof EVENTS;
