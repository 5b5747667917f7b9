/**
 * Recipients pushed by the inside, so that the DMZ holds no list of addresses and asks nobody: on the Unix socket by
 * whoever may open it, and over TCP by whoever has the token (push_guard.ts); without one there is no such page there.
 *
 *   PUT /api/recipients      X-Salt: 16 to 64 bytes in hex; body: a SHA-256 (of salt and address) in hex on each line
 *
 *   204  in force, and kept         400  body or salt is none of ours         401  no token, or a wrong one
 *   408  too slow                   409  another upload has begun since       413  longer than it may be
 *   429  too many wrong tokens      503  the disk does not take it
 *
 * With any answer but 204, and where the client goes in the middle, what was in force stays.
 */
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS } from '../config/limits.ts';
import type { PushedHashes, UploadFault } from '../facts/recipient_hashes.ts';
import { parseSalt, UPLOAD_BYTES_MAX } from '../facts/recipient_hashes.ts';
import type { Logger } from '../telemetry/log.ts';
import type { PushGuard } from './push_guard.ts';

export const RECIPIENTS_PATH = '/api/recipients';

export type Push = {
  readonly recipients: PushedHashes;
  readonly logger: Logger;
  /** Null on the Unix socket, which its mode guards. */
  readonly guard: PushGuard | null;
};

const STATUS = { theirs: 400, overtaken: 409, ours: 503 } as const;

/** Before a byte of the body is read; undefined: he may. */
export function refusePush(push: Push | undefined, request: FastifyRequest, reply: FastifyReply) {
  const { headers } = request;
  if (push === undefined) return reply.code(404).send({ error: 'no such page' });
  switch (push.guard?.admit(clientOf(request), headers.authorization) ?? 'admitted') {
    case 'admitted':
      if (Number(headers['content-length'] ?? 0) <= UPLOAD_BYTES_MAX) return undefined;
      return refuse(push, request, reply, 413, `more than ${UPLOAD_BYTES_MAX} bytes`);
    case 'wrong':
      return refuse(push, request, reply.header('www-authenticate', 'Bearer'), 401, 'no token, or a wrong one');
    case 'locked':
      return reply
        .code(429)
        .header('retry-after', LIMITS.pushFailuresMs / 1000)
        .send({ error: 'too many wrong tokens' });
  }
}

export function addRecipientRoutes(app: FastifyInstance, push: Push, silenceMsMax: number): void {
  app.register(async (scope) => {
    // Of any type and as a stream, for which Fastify has no limit: a million of them are never a string.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.put(RECIPIENTS_PATH, (request, reply) => takePush(push, silenceMsMax, request, reply));
  });
}

async function takePush(push: Push, silenceMsMax: number, request: FastifyRequest, reply: FastifyReply) {
  const salt = parseSalt(String(request.headers['x-salt'] ?? ''));
  if (salt === null) return refuse(push, request, reply, 400, 'X-Salt is 16 to 64 bytes in hex');
  const upload = push.recipients.beginUpload(salt);
  const { socket } = request.raw;
  socket.setTimeout(silenceMsMax);
  let fault: UploadFault = null;
  try {
    // To its end even where a line is wrong: who is cut off in mid-sentence does not hear what was wrong.
    for await (const chunk of chunksOf(request)) fault ??= upload.add(chunk);
  } catch (error) {
    upload.abort();
    if (request.raw.complete) throw error;
    return refuse(push, request, reply, 400, 'the body was cut short');
  }
  socket.setTimeout(LIMITS.operatorSilenceMsMax); // it is the disk that is waited for
  fault ??= await upload.commit();
  if (fault !== null) return refuse(push, request, reply, STATUS[fault.whose], fault.detail);
  push.logger.log('recipients-pushed', { client: clientOf(request), recipients: upload.count });
  return reply.code(204).send();
}

const clientOf = ({ socket }: FastifyRequest): string => socket.remoteAddress ?? 'admin.sock';

/** No bytes: there is no body. */
const chunksOf = ({ body }: FastifyRequest): AsyncIterable<Buffer> | readonly Buffer[] =>
  (body as Readable | undefined) ?? [];

function refuse(push: Push, request: FastifyRequest, reply: FastifyReply, status: number, error: string): FastifyReply {
  push.logger.log('push-refused', { client: clientOf(request), status, detail: error });
  return reply.code(status).send({ error });
}
