/**
 * The process's queue over the Unix socket in its spool folder: a request is one POST (admin/queue_routes.ts), its
 * answer a line of JSON a chunk, or the bytes of a message.
 *
 *   {"tag":"rows",…}⏎ {"tag":"rows",…}⏎ {"tag":"end"}⏎       without the end, the answer was cut off
 */
import type { Dispatcher } from 'undici';
import { Client } from 'undici';
import { LIMITS } from '../config/limits.ts';
import type { QueueChunk, QueueRequest, QueueSource } from '../relay/queue_requests.ts';
import { QueueFailure } from '../relay/queue_requests.ts';

/** Nothing listens there: the process is down, or never was. */
export class NoProcess extends Error {
  override readonly name = 'NoProcess';
}

const DOWN: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED']);

/** `path` is the socket's. */
export function queueClient(path: string): QueueSource {
  return { ask: (request) => ask(path, request) };
}

async function* ask(path: string, request: QueueRequest): AsyncGenerator<QueueChunk> {
  const client = new Client('http://localhost', {
    socketPath: path,
    headersTimeout: LIMITS.operatorSilenceMsMax,
    bodyTimeout: LIMITS.operatorSilenceMsMax,
  });
  try {
    const { statusCode, headers, body } = await post(client, request);
    if (statusCode === 404 && request.action === 'cat') {
      await body.dump();
      return;
    }
    if (statusCode !== 200) throw new QueueFailure('refused', await complaint(statusCode, body));
    if (String(headers['content-type']).startsWith('application/x-ndjson')) yield* chunksOf(body);
    else {
      yield { tag: 'content', bytes: new Uint8Array() }; // there is a message, and be it empty
      for await (const bytes of body) yield { tag: 'content', bytes: bytes as Buffer };
    }
  } catch (error) {
    throw error instanceof QueueFailure || error instanceof NoProcess ? error : cutOff(error);
  } finally {
    await client.destroy();
  }
}

async function post(client: Client, request: QueueRequest): Promise<Dispatcher.ResponseData> {
  const { action, ...body } = request;
  try {
    return await client.request({
      method: 'POST',
      path: `/api/queue/${action}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (DOWN.has(code)) throw new NoProcess(message);
    if (code === 'EACCES' || code === 'EPERM')
      throw new QueueFailure('unreachable', 'the admin socket is not ours to use: be the user that runs Postern');
    throw error;
  }
}

const cutOff = (error: unknown): QueueFailure =>
  new QueueFailure('refused', `Postern broke off its answer: ${(error as Error).message}`, { cause: error });

/** The server's own words for what it refuses. */
async function complaint(statusCode: number, body: Dispatcher.ResponseData['body']): Promise<string> {
  const text = (await body.text()).slice(0, LIMITS.operatorLineBytesMax);
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // Not ours, so shown as it is.
  }
  return `status ${statusCode}: ${text.slice(0, 200)}`;
}

/** Text as it comes, cut at line ends; a line that never ends is refused. */
async function* chunksOf(body: Dispatcher.ResponseData['body']): AsyncGenerator<QueueChunk> {
  body.setEncoding('utf8');
  let rest = '';
  for await (const text of body) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    if (rest.length > LIMITS.operatorLineBytesMax) throw new Error('a line without an end');
    for (const line of lines) {
      const chunk = JSON.parse(line) as QueueChunk | { readonly tag: 'end' };
      if (chunk.tag === 'end') return;
      yield chunk;
    }
  }
  throw new Error('the connection closed in the middle');
}
