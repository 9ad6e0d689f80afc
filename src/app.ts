import type { IncomingMessage } from 'node:http'
import { type Handler, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Registry } from 'prom-client'
import { foreignHost } from './core/forwarded-request.ts'
import { isPrefetch } from './core/request-class.ts'
import { scanHeaders } from './core/sent-headers.ts'
import type { Site, Sites } from './core/site.ts'
import { AuthError, invalidRequest, STATUS } from './errors.ts'
import { answer, plain } from './http/answers.ts'
import type { RequireCertificate } from './http/client-certificates.ts'
import type { Refuse } from './http/error-answer.ts'
import { HEALTH_PATH } from './http/health-path.ts'
import { type NodeContext, type NodeEnv, requestIdOf } from './http/request.ts'
import type { Admin } from './routes/admin/admin.ts'

type Route = (c: NodeContext) => Response | Promise<Response>

export interface PublicRoutes {
  readonly login: Route
  readonly callback: Route
  readonly confirmLogout: Route
  readonly logout: Route
  readonly signedOut: Route
  readonly backchannelLogout: Route
  readonly me: Route
  readonly events: Route
  readonly eventsPreflight: Route
  /** Lets the pages of protected hosts read the answers about events. */
  readonly shareEvents: MiddlewareHandler<NodeEnv>
  readonly clientScript: Route
  readonly ownSessions: Route
  readonly endOwnSessions: Route
}

export interface InternalRoutes {
  readonly check: Route
  readonly livez: Route
  readonly readyz: Route
  readonly startupz: Route
  readonly health: Route
  readonly admin: Admin
}

const MAX_BODY_BYTES = 16 * 1024
const limitBody = bodyLimit({ maxSize: MAX_BODY_BYTES, onError: () => plain(413) })

/** Serves browsers, through a router for `BASE_PATH`. */
export function createPublicApp(
  routes: PublicRoutes,
  basePath: string,
  knownSites: Sites,
  refuse: Refuse,
): Hono<NodeEnv> {
  const app = new Hono<NodeEnv>()
  const page = new Hono<NodeEnv>()
  page.use(async (c, next) => {
    c.set('site', knownSite(c.env.incoming, knownSites))
    await next()
  })
  page.get('/login', effectful(routes.login))
  page.get('/callback', effectful(routes.callback))
  page.get('/logout', effectful(routes.confirmLogout))
  page.post('/logout', limitBody, effectful(routes.logout))
  page.get('/signed-out', routes.signedOut)
  page.post('/backchannel-logout', limitBody, routes.backchannelLogout)
  page.all('/backchannel-logout', () => answer(405, null, [['Allow', 'POST']]))
  page.get('/me', routes.me)
  page.use('/events', routes.shareEvents)
  page.get('/events', routes.events)
  page.options('/events', routes.eventsPreflight)
  page.get('/client.js', routes.clientScript)
  page.get('/sessions', routes.ownSessions)
  page.post('/sessions', limitBody, effectful(routes.endOwnSessions))
  app.get(HEALTH_PATH, () => plain(200, 'ok\n'))
  app.route(basePath, page)
  return withErrors(app, refuse, (raw) => raw.method ?? 'GET')
}

/** Serves Traefik, the kubelet, Prometheus and operators; never routed to the outside. */
export function createInternalApp(
  routes: InternalRoutes,
  registry: Registry,
  refuse: Refuse,
  requireCertificate: RequireCertificate,
): Hono<NodeEnv> {
  const app = new Hono<NodeEnv>()
  app.all('/auth', routes.check as Handler<NodeEnv>)
  app.get('/livez', routes.livez)
  app.get('/readyz', routes.readyz)
  app.get('/startupz', routes.startupz)
  app.get('/health', routes.health)
  app.get('/metrics', async (c) => {
    requireCertificate(c.env.incoming)
    return new Response(await registry.metrics(), {
      headers: { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' },
    })
  })
  const admin = createAdminApp(routes.admin, refuse, requireCertificate)
  // Kept in an app of its own, because paths with parameters would turn the check's route from a table look-up into a search.
  app.all('/admin/*', (c) => admin.fetch(c.req.raw, c.env))
  return withErrors(app, refuse, visitorsMethod)
}

function createAdminApp(
  admin: Admin,
  refuse: Refuse,
  requireCertificate: RequireCertificate,
): Hono<NodeEnv> {
  const app = new Hono<NodeEnv>()
  app.use(async (c, next) => {
    await next()
    c.header('X-Request-Id', requestIdOf(c.env.incoming))
  })
  app.use(async (c, next) => {
    requireCertificate(c.env.incoming)
    await next()
  })
  app.use(async (c, next) => admin.guard(c as NodeContext) ?? next())
  app.get('/admin/cache', admin.showCache)
  app.delete('/admin/cache/:region?', admin.clearCache)
  app.delete('/admin/cache/sessions/:id', admin.evictSession)
  app.get('/admin/sessions', admin.listSessions)
  app.delete('/admin/sessions', admin.endSessions)
  app.delete('/admin/sessions/:id', admin.endSession)
  app.get('/admin/denied-tokens', admin.listDeniedTokens)
  app.post('/admin/denied-tokens', limitBody, admin.denyToken)
  app.post('/admin/broadcast', limitBody, admin.broadcast)
  app.post('/admin/explain', limitBody, admin.explain)
  return withErrors(app, refuse, visitorsMethod)
}

/** Returns the method that Traefik forwards, because an answer of the check is for the visitor. */
function visitorsMethod({ headers }: IncomingMessage): string {
  return String(headers['x-forwarded-method'] ?? 'GET')
}

function withErrors(
  app: Hono<NodeEnv>,
  refuse: Refuse,
  methodOf: (raw: IncomingMessage) => string,
): Hono<NodeEnv> {
  app.notFound(() => plain(404, 'not found\n'))
  app.onError((error, c) => {
    const status = error instanceof AuthError ? STATUS[error.code] : 500
    const raw = c.env.incoming
    return refuse(error, status, {
      raw,
      method: methodOf(raw),
      site: c.get('site'),
      target: c.get('target'),
      retryUrl: c.get('retryUrl'),
      newLoginUrl: c.get('newLoginUrl'),
    })
  })
  return app
}

function effectful(route: Route): Route {
  return (c) => answerWithoutEffect(c.env.incoming) ?? route(c)
}

/** Answers requests that must have no effect: HEAD, and prefetches of a browser. */
function answerWithoutEffect(raw: IncomingMessage): Response | undefined {
  if (raw.method === 'HEAD') return plain(204)
  // A browser discards a prefetched error and requests the page again when its user opens it.
  return isPrefetch(scanHeaders(raw.rawHeaders)) ? plain(503) : undefined
}

/** Returns the site that `Host` alone names, or throws for one that is not ours. */
function knownSite(raw: IncomingMessage, knownSites: Sites): Site {
  // Refuses several, because Node keeps the first and a proxy may route by another (RFC 9112 section 3.2).
  if (countHosts(raw) > 1) throw invalidRequest('The header Host was sent more than once.')
  const site = raw.headers.host === undefined ? undefined : knownSites.find(raw.headers.host)
  if (site) return site
  throw foreignHost('This host is not one of the protected hosts.', raw.headers.host)
}

function countHosts({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length
}
