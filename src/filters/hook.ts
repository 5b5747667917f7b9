/**
 * Our own filter protocol: JSON over HTTP, for who writes a filter of their own (README.md has an example).
 *
 *   POST, multipart/form-data (RFC 7578): part `request`: JSON, hookRequestSchema; part `message`: content, streamed
 *   200: JSON, hookAnswerSchema      204: accepted      anything else: the filter has failed
 */
import { randomSecret } from '../base/random.ts';
import type { FilterConfigOf } from '../config/filters.ts';
import { LIMITS } from '../config/limits.ts';
import type { BodyBudget } from './changes.ts';
import { Changes } from './changes.ts';
import { checkedNames, checkedReply } from './checks.ts';
import type { FilteredEnvelope, Findings } from './filter.ts';
import { ACCEPTED, FilterFailure, malformed } from './filter.ts';
import type { HookAnswer, HookRequest } from './hook_schema.ts';
import { hookAnswerSchema } from './hook_schema.ts';
import type { Frame } from './http.ts';
import { HttpClient } from './http.ts';
import type { Protocol, Subject } from './protocol.ts';
import type { FilterNet } from './wire.ts';

export class Hook implements Protocol {
  readonly #config: FilterConfigOf<'http'>;
  readonly #client: HttpClient;
  readonly #budget: BodyBudget;

  constructor(config: FilterConfigOf<'http'>, net: FilterNet, budget: BodyBudget) {
    this.#config = config;
    this.#client = new HttpClient(config, net);
    this.#budget = budget;
  }

  async examine(subject: Subject): Promise<Findings> {
    // Nobody can guess it, so no content can end its part early.
    const boundary = Buffer.from(randomSecret(24)).toString('hex');
    const { token, name } = this.#config;
    const headers = ['Content-Type', `multipart/form-data; boundary=${boundary}`, 'Accept', 'application/json'];
    if (token !== undefined) headers.push('Authorization', `Bearer ${token}`);
    const frame = frameOf(boundary, requestOf(name, subject.envelope));
    const { status, answer } = await this.#client.post(subject, headers, frame, LIMITS.filterHookAnswerBytesMax);
    if (status === 204) return ACCEPTED;
    if (status !== 200) throw new FilterFailure('error', `status ${status}`);
    const changes = new Changes(this.#budget);
    try {
      return findingsOf(parsed(answer), changes);
    } finally {
      changes.release();
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

function requestOf(filter: string, envelope: FilteredEnvelope): HookRequest {
  return { version: 1, filter, ...envelope, recipients: [...envelope.recipients] };
}

function frameOf(boundary: string, request: HookRequest): Frame {
  const part = (name: string, type: string, more = ''): string =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\nContent-Type: ${type}\r\n\r\n`;
  const before = `${part('request', 'application/json')}${JSON.stringify(request)}\r\n`;
  const message = part('message', 'message/rfc822', '; filename="message.eml"');
  return { before: Buffer.from(before + message), behind: Buffer.from(`\r\n--${boundary}--\r\n`) };
}

function parsed(text: string): HookAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw malformed('an answer that is not JSON');
  }
  const result = hookAnswerSchema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw malformed(`an answer with a fault at ${issue?.path.join('.') || 'its root'}: ${issue?.message ?? ''}`);
}

function findingsOf(answer: HookAnswer, changes: Changes): Findings {
  const { verdict, reply } = answer;
  const found = {
    ...(answer.score === undefined ? {} : { score: answer.score }),
    ...(answer.action === undefined ? {} : { action: checkedNames([answer.action])[0]! }),
    ...(answer.names === undefined ? {} : { names: checkedNames(answer.names) }),
  };
  if (verdict === 'reject' || verdict === 'defer') {
    const words = checkedReply(verdict, reply?.code, reply?.enhanced, reply?.text);
    return { ...found, verdict, reply: words, headers: [] };
  }
  if (reply !== undefined) throw malformed(`a reply with ${verdict}`);
  for (const change of answer.headers ?? []) applyHeader(change, changes);
  if (answer.sender !== undefined) changes.sender = answer.sender;
  for (const address of answer.recipients?.add ?? []) changes.addRecipient(address);
  for (const address of answer.recipients?.remove ?? []) changes.removeRecipient(address);
  if (answer.body !== undefined) changes.appendBody(Buffer.from(answer.body, 'base64'));
  return { ...found, ...changes.found, verdict };
}

function applyHeader(change: NonNullable<HookAnswer['headers']>[number], changes: Changes): void {
  switch (change.do) {
    case 'add':
      changes.addHeader(change.at === 'top' ? 0 : 'end', change.name, ` ${change.value}`);
      break;
    case 'change':
      changes.changeHeader(change.name, change.nth, ` ${change.value}`);
      break;
    case 'remove':
      changes.removeHeader(change.name, change.nth);
      break;
  }
}
