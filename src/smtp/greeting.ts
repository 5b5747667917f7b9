/**
 * The client's way from a new connection to one that carries mail: a pure machine, one event in, one step out.
 *
 *   banner ─► ehlo ─► starttls ─► handshake ─► ehlo ─► auth ─► ready
 *              │ 5yz          refused, "may" │    └──────────► (no credentials)
 *              └─► helo ─► ready             └─► auth, ready
 *
 * What goes wrong here concerns the host, not the message: whatever the code, another host or another time may do
 * better, so a failure is never permanent for the mail (RFC 5321 §4.2.4.2 on 554, §3.8).
 */
import { assert } from '../base/assert.ts';
import type { Capabilities } from './capabilities.ts';
import { NO_CAPABILITIES, parseCapabilities } from './capabilities.ts';
import type { Reply } from './reply_reader.ts';
import { replyText } from './reply_reader.ts';

export type GreetingPlan = {
  /** Our name in EHLO. */
  readonly hostname: string;
  readonly protocol: 'smtp' | 'lmtp';
  readonly tls: 'may' | 'require' | 'never';
  readonly credentials: { readonly user: string; readonly password: string } | null;
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

type Tag = 'banner' | 'ehlo' | 'helo' | 'starttls' | 'handshake' | 'plain' | 'login' | 'user' | 'password';
export type Greeting = { readonly tag: Tag; readonly secure: boolean; readonly capabilities: Capabilities };

export type GreetingStep =
  | { readonly tag: 'say'; readonly greeting: Greeting; readonly text: string }
  | { readonly tag: 'handshake'; readonly greeting: Greeting }
  | { readonly tag: 'ready'; readonly capabilities: Capabilities }
  | { readonly tag: 'failed'; readonly failure: Failure };

export const newGreeting = (): Greeting => ({ tag: 'banner', secure: false, capabilities: NO_CAPABILITIES });

/** The next step after a reply. */
export function greetingReply(greeting: Greeting, reply: Reply, plan: GreetingPlan): GreetingStep {
  const well = reply.code < 300;
  switch (greeting.tag) {
    case 'banner':
      return reply.code === 220 ? sayHello(greeting, plan) : failed('banner', reply);
    case 'ehlo':
      if (well) return afterHello({ ...greeting, capabilities: parseCapabilities(reply) }, plan);
      // RFC 5321 §3.2: who does not know EHLO may know HELO. Over TLS it is known, and LMTP has no other.
      if (reply.code < 500 || plan.protocol === 'lmtp' || greeting.secure) return failed('ehlo', reply);
      return say({ ...greeting, tag: 'helo' }, `HELO ${plan.hostname}`);
    case 'helo':
      return well ? afterHello(greeting, plan) : failed('ehlo', reply);
    case 'starttls':
      if (reply.code === 220) return { tag: 'handshake', greeting: { ...greeting, tag: 'handshake' } };
      return plan.tls === 'require' ? failed('starttls', reply) : authenticate(greeting, plan);
    case 'plain':
    case 'password':
      return well ? { tag: 'ready', capabilities: greeting.capabilities } : failed('auth', reply);
    case 'login':
      return reply.code === 334 ? say({ ...greeting, tag: 'user' }, base64(plan.credentials!.user)) : failed('auth', reply);
    case 'user':
      if (reply.code !== 334) return failed('auth', reply);
      return say({ ...greeting, tag: 'password' }, base64(plan.credentials!.password));
    case 'handshake':
      throw new Error('no reply is read during a handshake');
  }
}

/** The handshake is done: everything learnt in clear is forgotten (RFC 3207 §4.2). */
export const greetingSecured = (plan: GreetingPlan): GreetingStep =>
  sayHello({ tag: 'ehlo', secure: true, capabilities: NO_CAPABILITIES }, plan);

const sayHello = (greeting: Greeting, plan: GreetingPlan): GreetingStep =>
  say({ ...greeting, tag: 'ehlo' }, `${plan.protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${plan.hostname}`); // RFC 2033 §4.1

function afterHello(greeting: Greeting, plan: GreetingPlan): GreetingStep {
  if (plan.tls === 'never' || greeting.secure) return authenticate(greeting, plan);
  if (greeting.capabilities.startTls) return say({ ...greeting, tag: 'starttls' }, 'STARTTLS');
  if (plan.tls === 'require') return refused('starttls', 'STARTTLS is required here but not offered');
  return authenticate(greeting, plan);
}

/** RFC 4954; a password goes over TLS, or where the operator said in so many words that there is to be none. */
function authenticate(greeting: Greeting, plan: GreetingPlan): GreetingStep {
  if (plan.credentials === null) return { tag: 'ready', capabilities: greeting.capabilities };
  if (!greeting.secure && plan.tls !== 'never') return refused('auth', 'the server offers no TLS, and a password needs it');
  const { auth } = greeting.capabilities;
  const { user, password } = plan.credentials;
  if (auth.includes('PLAIN')) return say({ ...greeting, tag: 'plain' }, `AUTH PLAIN ${base64(`\0${user}\0${password}`)}`);
  if (auth.includes('LOGIN')) return say({ ...greeting, tag: 'login' }, 'AUTH LOGIN');
  return refused('auth', 'the server offers neither AUTH PLAIN nor AUTH LOGIN');
}

function say(greeting: Greeting, line: string): GreetingStep {
  assert(!/[\r\n\0]/.test(line), 'a command is one line');
  return { tag: 'say', greeting, text: `${line}\r\n` };
}

const failed = (stage: Failure['stage'], reply: Reply): GreetingStep => ({
  tag: 'failed',
  failure: { permanent: false, code: reply.code, enhanced: reply.enhanced, text: replyText(reply), stage },
});

const refused = (stage: Failure['stage'], text: string): GreetingStep => ({
  tag: 'failed',
  failure: { permanent: false, code: 0, enhanced: '4.7.0', text, stage },
});

const base64 = (text: string): string => new TextEncoder().encode(text).toBase64();
