/**
 * The admin server: health, metrics, status and dashboard, and on its Unix socket the queue commands, too.
 *
 *   GET /              the dashboard          GET /healthz   200 or 503
 *   GET /api/status    what it shows, JSON    GET /metrics   for Prometheus
 *   POST /api/queue/…  on the socket only (queue_routes.ts)
 *   PUT /api/recipients  on the socket, and with a token over TCP (recipient_routes.ts)
 *
 * Over TCP (or TLS: POSTERN_ADMIN_TLS) it reads without authentication, and what guards it is its address (loopback by
 * default), the Host check, and that there is nothing to command; whoever has the token may replace the recipients and
 * nothing else. What guards the socket is its mode: only the user that runs Postern can open it.
 */
import type { Server as HttpsServer } from 'node:https';
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify';
import { fastify } from 'fastify';
import { LIMITS } from '../config/limits.ts';
import type { HostPort } from '../config/options.ts';
import { canonicalAddress } from '../config/parsers.ts';
import type { TlsMaterial } from '../config/tls_material.ts';
import type { AdminToken } from '../config/token_file.ts';
import { serverOptions } from '../net/tls.ts';
import type { QueueSource } from '../relay/queue_requests.ts';
import { EXPOSITION_TYPE } from '../telemetry/exposition.ts';
import type { StatusSource } from '../telemetry/status.ts';
import { loadDashboard } from './dashboard.ts';
import { PushGuard } from './push_guard.ts';
import { addQueueRoutes, QUEUE_PATH } from './queue_routes.ts';
import type { Push } from './recipient_routes.ts';
import { addRecipientRoutes, RECIPIENTS_PATH, refusePush } from './recipient_routes.ts';

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

export type AdminDoor = {
  readonly at: HostPort;
  /** A Host header may be this. */
  readonly hostname: string;
  /** Null: nobody has a token. */
  readonly pushes: Pushes | null;
  /** Null: in clear. */
  readonly tls: TlsMaterial | null;
};

/** Resolves when it listens, to the address as bound, or rejects with the system's error. */
export async function startAdmin({ at, hostname, pushes, tls }: AdminDoor, source: StatusSource) {
  const push = pushes === null ? undefined : { ...pushes, guard: new PushGuard(pushes.token) };
  const app = buildAdmin({ source, names: [hostname], push, tls });
  const server: typeof app.server & Partial<Pick<HttpsServer, 'setSecureContext'>> = app.server;
  server.maxConnections = LIMITS.adminConnectionsMax;
  await app.listen({ host: at.host, port: at.port, ipv6Only: at.host.includes(':') });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : at.port;
  return {
    address: { host: at.host, port },
    /** For connections from now on; no use where it speaks in clear. */
    reloadTls: (material: TlsMaterial): void => {
      server.setSecureContext?.(serverOptions(material, 'admin'));
    },
    close: () => app.close(),
  };
}

/** As above, on a Unix socket, with commands. A command may be silent for longer than a page. */
export async function startOperator(
  path: string,
  source: StatusSource,
  queue: QueueSource,
  pushes: Omit<Pushes, 'token'> | null = null,
) {
  const app = buildAdmin({ source, queue, push: pushes === null ? undefined : { ...pushes, guard: null } });
  app.server.maxConnections = LIMITS.adminConnectionsMax;
  await app.listen({ path });
  return { close: () => app.close() };
}

export type Pushes = Omit<Push, 'guard'> & { readonly token: () => AdminToken };

export type AdminParts = {
  readonly source: StatusSource;
  /** Host headers that are ours besides loopback names and addresses. */
  readonly names?: readonly string[];
  /** What commands go to: on the Unix socket, and nowhere else. */
  readonly queue?: QueueSource | undefined;
  readonly push?: Push | undefined;
  readonly tls?: TlsMaterial | null;
  readonly patience?: Patience;
};

/** How long a client may take, and how late that may be noticed. */
export type Patience = {
  readonly pageMsMax: number;
  readonly pushMsMax: number;
  readonly pushSilenceMsMax: number;
  readonly sweepMs: number;
};

const PATIENCE: Patience = {
  pageMsMax: LIMITS.adminRequestMsMax,
  pushMsMax: LIMITS.pushMsMax,
  pushSilenceMsMax: LIMITS.pushSilenceMsMax,
  sweepMs: LIMITS.adminSweepMs,
};

export function buildAdmin(parts: AdminParts): FastifyInstance {
  const { source, names = [], queue, push, tls = null, patience = PATIENCE } = parts;
  const looks = { headersTimeout: patience.pageMsMax, connectionsCheckingInterval: patience.sweepMs };
  const handshakeTimeout = LIMITS.tlsHandshakeSeconds * 1000;
  const app: FastifyInstance = fastify({
    bodyLimit: 1024,
    requestTimeout: push === undefined ? patience.pageMsMax : patience.pushMsMax,
    connectionTimeout: queue === undefined ? patience.pageMsMax : LIMITS.operatorSilenceMsMax,
    ...(tls === null ? { http: looks } : { https: { ...looks, ...serverOptions(tls, 'admin'), handshakeTimeout } }),
    forceCloseConnections: true,
  });
  const dashboard = loadDashboard();
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const { method, url } = request;
    const isPush = method === 'PUT' && url === RECIPIENTS_PATH;
    const isCommand = queue !== undefined && method === 'POST' && url.startsWith(QUEUE_PATH);
    if (method !== 'GET' && method !== 'HEAD' && !isPush && !isCommand)
      return reply.code(405).header('allow', 'GET, HEAD').send({ error: 'only GET and HEAD are served' });
    if (!isOurs(request.headers.host, names))
      return reply.code(421).send({ error: 'ask by address, as localhost, or by the name in POSTERN_HOSTNAME' });
    const refusal = isPush ? refusePush(push, request, reply) : undefined;
    if (refusal !== undefined) return refusal;
    // It would be read for as long as a push may take.
    const isPage = !isPush && !isCommand;
    if (isPage && hasBody(request)) return reply.code(413).send({ error: 'a page is asked for without a body' });
    // Who asks before he sends (curl, where the body is long) is told only here, and so sends nothing in vain.
    if (request.headers.expect !== undefined) reply.raw.writeContinue();
    return undefined;
  });
  // Nobody reads on what has been answered already.
  app.addHook('onSend', async (request, reply) => {
    if (hasBody(request) && !request.raw.complete) reply.header('connection', 'close');
  });
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response));
  app.setErrorHandler(({ statusCode = 500, message }: FastifyError, _request, reply) =>
    reply.code(statusCode).send({ error: statusCode < 500 ? message : 'a defect of ours' }),
  );
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'no such page' }));
  if (queue !== undefined) addQueueRoutes(app, queue);
  if (push !== undefined) addRecipientRoutes(app, push, patience.pushSilenceMsMax);
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

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;

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
