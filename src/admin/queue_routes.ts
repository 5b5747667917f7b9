/**
 * Queue commands over HTTP, on the Unix socket only: POST /api/queue/ACTION with the request as JSON, without its
 * action.
 *
 *   200  a chunk a line (NDJSON), and {"tag":"end"} as the last line; for cat: the message's bytes
 *   400  the body is none of ours, and the error says where      404  cat: no such message
 *   503  too many at once, or the process cannot answer
 *
 * Whoever hangs up ends the work: nothing is gathered for nobody.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { LIMITS } from '../config/limits.ts';
import { filterFaults, QUEUE_STATES } from '../relay/queue_filter.ts';
import type { QueueChunk, QueueRequest, QueueSource } from '../relay/queue_requests.ts';
import { GROUPINGS, QUEUE_ACTIONS, QueueFailure, STEERING } from '../relay/queue_requests.ts';

export const QUEUE_PATH = '/api/queue/';

const texts = z.array(z.string()).default([]);
const seconds = z.int().min(0).nullable().default(null);
const filter = z
  .strictObject({
    ids: texts,
    senders: texts,
    recipients: texts,
    domains: texts,
    sites: texts,
    states: z.array(z.enum(QUEUE_STATES)).default([]),
    ageSecondsMin: seconds,
    ageSecondsMax: seconds,
  })
  .superRefine((value, context) => {
    for (const message of filterFaults(value)) context.addIssue({ code: 'custom', message });
  });
const steer = {
  // Asked for even where it is empty: nothing is changed because somebody forgot to say what.
  filter,
  dryRun: z.boolean().default(false),
  reason: z
    .string()
    .max(LIMITS.operatorReasonCharsMax)
    .regex(/^[^\x00-\x1f\x7f]*$/)
    .default(''),
};

/** By action; strict, so that a misspelt condition is refused and not ignored. */
const REQUESTS = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('list'), filter: filter.prefault({}), rowsMax: z.int().min(1).default(1000) }),
  z.strictObject({ action: z.literal('show'), filter }),
  z.strictObject({ action: z.literal('cat'), id: z.string().min(1).max(64), raw: z.boolean().default(false) }),
  z.strictObject({ action: z.literal('stats'), filter: filter.prefault({}), by: z.enum(GROUPINGS).default('site') }),
  ...STEERING.map((action) => z.strictObject({ action: z.literal(action), ...steer })),
]);

export function addQueueRoutes(app: FastifyInstance, queue: QueueSource): void {
  for (const action of QUEUE_ACTIONS) {
    app.post(QUEUE_PATH + action, { bodyLimit: LIMITS.operatorBodyBytesMax }, async (asked, reply) => {
      const { body } = asked;
      const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
      if (!isObject) return reply.code(400).send({ error: 'the body must be a JSON object' });
      const parsed = REQUESTS.safeParse({ ...body, action });
      if (!parsed.success) return reply.code(400).send({ error: faultOf(parsed.error) });
      return await answer(reply, queue, parsed.data as QueueRequest);
    });
  }
}

const faultOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`)).join('; ');

/** The first chunk decides on the status; what goes wrong after it is a line of its own. */
async function answer(reply: FastifyReply, queue: QueueSource, request: QueueRequest): Promise<FastifyReply> {
  const chunks = queue.ask(request)[Symbol.asyncIterator]();
  let first: IteratorResult<QueueChunk>;
  try {
    first = await chunks.next();
  } catch (error) {
    if (!(error instanceof QueueFailure)) throw error;
    return reply.code(503).send({ error: error.message });
  }
  if (reply.raw.destroyed) {
    await chunks.return?.(); // whoever asked has gone by now
    return reply;
  }
  if (request.action === 'cat') return await answerBytes(reply, first, chunks);
  return reply.type('application/x-ndjson').send(Readable.from(lines(first, chunks)));
}

async function* lines(first: IteratorResult<QueueChunk>, chunks: AsyncIterator<QueueChunk>): AsyncGenerator<string> {
  try {
    for (let next = first; next.done !== true; next = await chunks.next()) yield `${JSON.stringify(next.value)}\n`;
  } catch (error) {
    if (!(error instanceof QueueFailure)) throw error;
    const fault: QueueChunk = { tag: 'fault', detail: error.message };
    yield `${JSON.stringify(fault)}\n`;
  } finally {
    await chunks.return?.();
  }
  yield '{"tag":"end"}\n';
}

/** A message that cannot be read to its end is cut off, for there is no other way to say so behind its first bytes. */
async function answerBytes(
  reply: FastifyReply,
  first: IteratorResult<QueueChunk>,
  chunks: AsyncIterator<QueueChunk>,
): Promise<FastifyReply> {
  if (first.done === true) return reply.code(404).send({ error: 'no such message' });
  if (first.value.tag === 'fault') {
    await chunks.return?.();
    return reply.code(503).send({ error: first.value.detail });
  }
  return reply.type('message/rfc822').send(Readable.from(bytes(first, chunks), { objectMode: false }));
}

async function* bytes(
  first: IteratorResult<QueueChunk>,
  chunks: AsyncIterator<QueueChunk>,
): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; next.done !== true; next = await chunks.next()) {
      if (next.value.tag === 'fault') throw new Error(next.value.detail);
      if (next.value.tag === 'content' && next.value.bytes.length > 0) yield next.value.bytes;
    }
  } finally {
    await chunks.return?.();
  }
}
