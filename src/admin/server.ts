/**
 * The admin server: health, metrics, status and dashboard, and on its Unix socket the queue commands, too.
 *
 *   GET /              the dashboard          GET /healthz   200 or 503
 *   GET /api/status    what it shows, JSON    GET /metrics   for Prometheus
 *   POST /api/queue/…  on the socket only (queue_routes.ts)
 *
 * Over TCP it reads and never changes anything; it has no authentication, and what guards it is its address (loopback
 * by default), the Host check, and that there is nothing to command. What guards the socket is its mode: only the user
 * that runs Postern can open it.
 */
import type { FastifyError, FastifyInstance } from 'fastify';
import { fastify } from 'fastify';
import { LIMITS } from '../config/limits.ts';
import type { HostPort } from '../config/options.ts';
import { canonicalAddress } from '../config/parsers.ts';
import type { PushedHashes } from '../facts/recipient_hashes.ts';
import type { QueueSource } from '../relay/queue_requests.ts';
import { EXPOSITION_TYPE } from '../telemetry/exposition.ts';
import type { StatusSource } from '../telemetry/status.ts';
import { loadDashboard } from './dashboard.ts';
import { addQueueRoutes, QUEUE_PATH } from './queue_routes.ts';
import { addRecipientRoutes, RECIPIENTS_PATH } from './recipient_routes.ts';

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

/** Resolves when it listens, to the address as bound. Rejects with the system's error. */
export async function startAdmin(at: HostPort, source: StatusSource, hostname: string) {
  const app = buildAdmin(source, [hostname]);
  app.server.maxConnections = LIMITS.adminConnectionsMax;
  await app.listen({ host: at.host, port: at.port, ipv6Only: at.host.includes(':') });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : at.port;
  return { address: { host: at.host, port }, close: () => app.close() };
}

/** As above, on a Unix socket, with commands. A command may be silent for longer than a page. */
export async function startOperator(
  path: string,
  source: StatusSource,
  queue: QueueSource,
  recipients: PushedHashes | null = null,
) {
  const app = buildAdmin(source, [], queue);
  if (recipients !== null) addRecipientRoutes(app, recipients);
  app.server.maxConnections = LIMITS.adminConnectionsMax;
  await app.listen({ path });
  return { close: () => app.close() };
}

/** `names`: Host headers that are ours besides loopback names and addresses. `queue`: what commands go to. */
export function buildAdmin(
  source: StatusSource,
  names: readonly string[],
  queue: QueueSource | null = null,
): FastifyInstance {
  const app = fastify({
    bodyLimit: 1024,
    requestTimeout: LIMITS.adminRequestMsMax,
    connectionTimeout: queue === null ? LIMITS.adminRequestMsMax : LIMITS.operatorSilenceMsMax,
    forceCloseConnections: true,
  });
  const dashboard = loadDashboard();
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const commands =
      queue !== null &&
      ((request.method === 'POST' && request.url.startsWith(QUEUE_PATH)) ||
        (request.method === 'PUT' && request.url === RECIPIENTS_PATH));
    if (request.method !== 'GET' && request.method !== 'HEAD' && !commands)
      return reply.code(405).header('allow', 'GET, HEAD').send({ error: 'only GET and HEAD are served' });
    if (!isOurs(request.headers.host, names))
      return reply.code(421).send({ error: 'ask by address, as localhost, or by the name in POSTERN_HOSTNAME' });
  });
  app.setErrorHandler(({ statusCode = 500, message }: FastifyError, _request, reply) =>
    reply.code(statusCode).send({ error: statusCode < 500 ? message : 'a defect of ours' }),
  );
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'no such page' }));
  if (queue !== null) addQueueRoutes(app, queue);
  app.get('/', (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', dashboard.policy).send(dashboard.page),
  );
  app.get('/healthz', (_request, reply) => {
    const health = source.health();
    return reply.code(health.ok ? 200 : 503).send(health);
  });
  app.get('/api/status', (_request, reply) => reply.send(source.report()));
  app.get('/metrics', async (_request, reply) => reply.type(EXPOSITION_TYPE).send(await source.metricsPage()));
  return app;
}

/**
 * Against DNS rebinding: a stranger's page can make a browser resolve the stranger's name to our address, but then the
 * Host header says that name. An address can only stand there when the browser was sent to it.
 */
function isOurs(header: string | undefined, names: readonly string[]): boolean {
  const host = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(header ?? '');
  if (host === null) return false;
  const name = (host[1] ?? host[2] ?? '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || canonicalAddress(name) !== null || names.includes(name);
}
