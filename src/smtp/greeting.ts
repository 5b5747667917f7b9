/**
 * The client's way from a new connection to one that carries mail: a pure machine, one event in, one step out.
 *
 *   banner ─► ehlo ─► starttls ─► handshake ─► ehlo ─► auth ─► ready
 *              │ 500, 502     refused, "may" │    └──────────► (no credentials)
 *              └─► helo ─► ready             └─► auth, ready
 *
 * auth is one of two dialogues (RFC 4954 §4):
 *   plain ─► ready                            the response goes with the command
 *   challenge ─► plain                        where the command would be too long for that
 *   login ─► user ─► password ─► ready        LOGIN is no standard, and in use
 *
 * What goes wrong here concerns the host, not the message: whatever the code, another host or another time may do
 * better, so a failure is never permanent for the mail (RFC 5321 §3.1, §4.2.1: 554 in place of a banner says only that
 * this host takes no mail).
 */
import { assert, unreachable } from '../base/assert.ts';
import { utf8Octets } from '../base/text.ts';
import type { Capabilities } from './capabilities.ts';
import { NO_CAPABILITIES, parseCapabilities } from './capabilities.ts';
import type { Reply } from './reply_reader.ts';
import { replyText } from './reply_reader.ts';

export type Credentials = { readonly user: string; readonly password: string };

export type GreetingPlan = {
  /** Our name in EHLO. */
  readonly hostname: string;
  readonly protocol: 'smtp' | 'lmtp';
  readonly tls: 'may' | 'require' | 'never';
  readonly credentials: Credentials | null;
};

export type Failure = {
  readonly permanent: boolean;
  /** The server's code, or 0 where it did not speak. */
  readonly code: number;
  readonly enhanced: string;
  /** One printable line; never holds credentials. */
  readonly text: string;
  readonly stage: 'route' | 'connect' | 'banner' | 'ehlo' | 'starttls' | 'auth';
};

/** What is awaited: the reply to the command of that name, or the end of the handshake. */
type Tag =
  | 'banner'
  | 'ehlo'
  | 'helo'
  | 'starttls'
  | 'handshake'
  | 'challenge'
  | 'plain'
  | 'login'
  | 'user'
  | 'password';
export type Greeting = { readonly tag: Tag; readonly secure: boolean; readonly capabilities: Capabilities };

export type GreetingStep =
  | { readonly tag: 'say'; readonly greeting: Greeting; readonly text: string }
  | { readonly tag: 'handshake'; readonly greeting: Greeting }
  | { readonly tag: 'ready'; readonly capabilities: Capabilities }
  | { readonly tag: 'failed'; readonly failure: Failure };

/** RFC 5321 §4.5.3.1.4, with CRLF. */
const COMMAND_BYTES_MAX = 512;

export const newGreeting = (): Greeting => ({ tag: 'banner', secure: false, capabilities: NO_CAPABILITIES });

/** The next step after a reply. */
export function greetingReply(greeting: Greeting, reply: Reply, plan: GreetingPlan): GreetingStep {
  const well = reply.code < 300;
  switch (greeting.tag) {
    case 'banner':
      return reply.code === 220 ? sayHello(greeting, plan) : failed('banner', reply);
    case 'ehlo':
      if (well) return afterHello({ ...greeting, capabilities: parseCapabilities(reply) }, plan);
      return knowsHelo(greeting, reply, plan) ? sayHelo(greeting, plan) : failed('ehlo', reply);
    case 'helo':
      return well ? afterHello(greeting, plan) : failed('ehlo', reply);
    case 'starttls':
      if (reply.code === 220) return { tag: 'handshake', greeting: { ...greeting, tag: 'handshake' } };
      // RFC 5321 §3.8: after 421 there is nobody to talk to.
      return plan.tls === 'require' || reply.code === 421 ? failed('starttls', reply) : authenticate(greeting, plan);
    case 'handshake':
      assert(false, 'no reply is read during a handshake');
      break;
    default:
      return authReply(greeting, greeting.tag, reply, plan);
  }
}

type AuthTag = Extract<Tag, 'challenge' | 'plain' | 'login' | 'user' | 'password'>;

function authReply(greeting: Greeting, tag: AuthTag, reply: Reply, plan: GreetingPlan): GreetingStep {
  const { credentials } = plan;
  assert(credentials !== null, 'AUTH is said with credentials only');
  if (tag === 'plain' || tag === 'password') {
    return reply.code < 300 ? { tag: 'ready', capabilities: greeting.capabilities } : authFailed(reply, credentials);
  }
  if (reply.code !== 334) return authFailed(reply, credentials);
  switch (tag) {
    case 'challenge':
      return say({ ...greeting, tag: 'plain' }, plainResponse(credentials));
    case 'login':
      return say({ ...greeting, tag: 'user' }, base64(credentials.user));
    case 'user':
      return say({ ...greeting, tag: 'password' }, base64(credentials.password));
    default:
      return unreachable(tag);
  }
}

/** The handshake is done: everything learnt in clear is forgotten (RFC 3207 §4.2). */
export const greetingSecured = (plan: GreetingPlan): GreetingStep =>
  sayHello({ tag: 'ehlo', secure: true, capabilities: NO_CAPABILITIES }, plan);

const sayHello = (greeting: Greeting, plan: GreetingPlan): GreetingStep =>
  say({ ...greeting, tag: 'ehlo' }, `${plan.protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${plan.hostname}`); // RFC 2033 §4.1

const sayHelo = (greeting: Greeting, plan: GreetingPlan): GreetingStep =>
  say({ ...greeting, tag: 'helo' }, `HELO ${plan.hostname}`);

/**
 * RFC 5321 §3.2: who does not know EHLO may know HELO. After any other refusal HELO would be refused, too. Over TLS the
 * server has said EHLO before, and LMTP has no other (RFC 2033 §4.1).
 */
const knowsHelo = ({ secure }: Greeting, { code }: Reply, { protocol }: GreetingPlan): boolean =>
  (code === 500 || code === 502) && protocol === 'smtp' && !secure;

function afterHello(greeting: Greeting, plan: GreetingPlan): GreetingStep {
  if (plan.tls === 'never' || greeting.secure) return authenticate(greeting, plan);
  if (greeting.capabilities.startTls) return say({ ...greeting, tag: 'starttls' }, 'STARTTLS');
  if (plan.tls === 'require') return refused('starttls', 'STARTTLS is required here but not offered');
  return authenticate(greeting, plan);
}

/** RFC 4954; a password goes over TLS, or where the operator said in so many words that there is to be none. */
function authenticate(greeting: Greeting, plan: GreetingPlan): GreetingStep {
  const { credentials } = plan;
  if (credentials === null) return { tag: 'ready', capabilities: greeting.capabilities };
  if (!greeting.secure && plan.tls !== 'never') return refused('auth', 'there is no TLS, and a password needs it');
  const { auth } = greeting.capabilities;
  if (auth.includes('PLAIN')) {
    const command = `AUTH PLAIN ${plainResponse(credentials)}`;
    if (command.length + 2 <= COMMAND_BYTES_MAX) return say({ ...greeting, tag: 'plain' }, command);
    return say({ ...greeting, tag: 'challenge' }, 'AUTH PLAIN'); // RFC 4954 §4
  }
  if (auth.includes('LOGIN')) return say({ ...greeting, tag: 'login' }, 'AUTH LOGIN');
  return refused('auth', 'the server offers neither AUTH PLAIN nor AUTH LOGIN');
}

function say(greeting: Greeting, line: string): GreetingStep {
  assert(/^[\x20-\x7e]+$/.test(line), 'a command is one line of ASCII');
  return { tag: 'say', greeting, text: `${line}\r\n` };
}

const failed = (stage: Failure['stage'], reply: Reply): GreetingStep => failedWith(stage, reply, replyText(reply));

/** Some servers repeat what they were told; it goes no further. */
function authFailed(reply: Reply, { user, password }: Credentials): GreetingStep {
  const secrets = [plainResponse({ user, password }), base64(password), password].filter((each) => each !== '');
  const lines = reply.lines.map((line) => secrets.reduce((text, secret) => text.replaceAll(secret, '***'), line));
  return failedWith('auth', reply, replyText({ ...reply, lines }));
}

const failedWith = (stage: Failure['stage'], { code, enhanced }: Reply, text: string): GreetingStep => ({
  tag: 'failed',
  failure: { permanent: false, code, enhanced, text, stage },
});

const refused = (stage: Failure['stage'], text: string): GreetingStep => ({
  tag: 'failed',
  failure: { permanent: false, code: 0, enhanced: '4.7.0', text, stage },
});

/** RFC 4616 §2: no authorization identity of its own. */
const plainResponse = ({ user, password }: Credentials): string => base64(`\0${user}\0${password}`);

const base64 = (text: string): string => btoa(utf8Octets(text));
