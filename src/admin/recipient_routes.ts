/**
 * Recipients pushed by the inside, on the Unix socket only: whoever may open it (ssh, or a tunnel to it) may push.
 *
 *   PUT /api/recipients      X-Salt: 16 to 64 bytes in hex; body: a SHA-256 (of salt and address) in hex on each line
 *   204 in force, and kept   400 the body or salt is none of ours, or there are too many; what was in force stays
 */
import type { FastifyInstance } from 'fastify';
import type { PushedHashes } from '../facts/recipient_hashes.ts';

export const RECIPIENTS_PATH = '/api/recipients';

const SALT = /^(?:[0-9a-f]{2}){16,64}$/i;

export function addRecipientRoutes(app: FastifyInstance, recipients: PushedHashes): void {
  // As a stream, for which Fastify has no limit: a million of them are never a string, and the upload counts them.
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  app.put(RECIPIENTS_PATH, async (request, reply) => {
    const salt = String(request.headers['x-salt'] ?? '');
    const refuse = (error: string) => reply.code(400).send({ error });
    if (!SALT.test(salt)) return refuse('X-Salt is 16 to 64 bytes in hex');
    const upload = recipients.beginUpload(Buffer.from(salt, 'hex'));
    if (typeof upload === 'string') return refuse(upload);
    try {
      for await (const chunk of request.body as AsyncIterable<Buffer>) {
        const fault = upload.add(chunk);
        if (fault !== null) return refuse(fault);
      }
    } catch {
      upload.abort(); // the client has gone in the middle: nothing has changed
      return refuse('the body was cut short');
    }
    const fault = await upload.commit();
    return fault === null ? reply.code(204).send() : refuse(fault);
  });
}
