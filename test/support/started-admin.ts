import { pino } from 'pino'
import { createInternalApp } from '../../src/app.ts'
import { createDeniedTokens } from '../../src/bearer/denied-tokens.ts'
import type { Explain } from '../../src/core/access/explain/explain.ts'
import type { Broadcast } from '../../src/core/broadcast.ts'
import { createAddresses } from '../../src/http/addresses.ts'
import { plain } from '../../src/http/answers.ts'
import { createRefusals } from '../../src/http/error-answer.ts'
import { createPageWriter } from '../../src/http/write-page.ts'
import type { MessageBody, Region } from '../../src/replicas/message.ts'
import { createAdmin } from '../../src/routes/admin/admin.ts'
import { userOwner } from '../../src/session/owners.ts'
import type { DenyList } from '../../src/store/deny-list.ts'
import { createMemoryDenyList } from '../../src/store/memory/deny-list.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { sitesOf } from './protected-sites.ts'
import { rawRequest } from './raw-request.ts'
import {
  identity,
  newSession,
  type StartedSessionsOptions,
  startSessions,
} from './started-sessions.ts'

export const ADMIN_TOKEN = 'the-token-of-operators-0123456789'
export const BROADCAST_TOKEN = 'the-token-of-apps-that-broadcast-01'
export const BROADCAST_ID = '1800000000000-0'
export const signed = { Authorization: `Bearer ${ADMIN_TOKEN}` }
export const ISSUER = identity.issuer
export const NOW_MS = 1_800_000_000_000
export const OPERATOR = '10.0.0.9'

export interface StartedAdminOptions {
  readonly token?: string | undefined
  readonly broadcastToken?: string | undefined
  readonly send?: () => Promise<void>
  readonly publish?: () => Promise<void>
  readonly sessions?: StartedSessionsOptions
  readonly denyList?: DenyList
  readonly bearerIssuers?: readonly string[]
  readonly explain?: Explain
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly from?: string
}

const unexplained: Explain = () => {
  throw new Error('these tests ask for no explanation')
}

/** `/admin` on the internal listener, over real sessions in memory, two caches and a backplane that does as told. */
export const startAdmin = (options: StartedAdminOptions = {}) => {
  const none = async () => undefined
  const { token, publish, send, broadcastToken } = {
    token: ADMIN_TOKEN,
    publish: none,
    send: none,
    ...options,
  }
  const broadcasts: Broadcast[] = []
  const events: string[] = []
  const published: MessageBody[] = []
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (text) => lines.push(JSON.parse(text) as Record<string, unknown>) })
  const createCache = (region: Region, entries: number) => ({
    size: entries,
    clear() {
      events.push(`cleared ${region}`)
      this.size = 0
    },
  })
  const caches = {
    sessions: Object.assign(createCache('sessions', 3), {
      evict: (digest: string) => void events.push(`evicted ${digest}`),
    }),
    tokens: createCache('tokens', 2),
  }
  const metrics = createMetrics({ hasRedis: false })
  const started = startSessions(options.sessions)
  const deniedTokens = createDeniedTokens({
    denyList: options.denyList ?? createMemoryDenyList(),
    isUsed: () => false,
    firstAttempt: Promise.resolve(),
    isAvailable: () => true,
    onUnread: () => undefined,
    onDoubt: () => undefined,
  })
  const admin = createAdmin({
    token,
    broadcastToken,
    broadcasts: {
      send: async (broadcast) => {
        broadcasts.push(broadcast)
        await send()
        return BROADCAST_ID
      },
    },
    protectedSites: sitesOf('app.example.com', 'http://app.localhost:8080', '*.apps.example.com'),
    caches,
    backplane: {
      subscription: 1,
      publish: async (body) => {
        events.push('published')
        published.push(body)
        await publish()
      },
    },
    sessions: started.sessions,
    deniedTokens,
    bearerIssuers: () => new Set(options.bearerIssuers ?? [ISSUER]),
    explain: options.explain ?? unexplained,
    issuer: ISSUER,
    log,
    metrics,
    now: () => NOW_MS,
  })
  const refuse = createRefusals({
    addresses: createAddresses({ basePath: '/oauth2', publicSite: undefined, hosts: [] }),
    clientOf: () => undefined,
    writePage: createPageWriter(() => []),
    log,
    metrics,
  })
  const other = () => plain(200)
  const routes = { check: other, livez: other, readyz: other, startupz: other, health: other }
  const app = createInternalApp({ ...routes, admin }, metrics.registry, refuse, () => undefined)
  /** Opens a session of this user and returns its id as operators see it. */
  const openFor = async (subject: string, issuer = ISSUER): Promise<string> => {
    const user = userOwner(issuer, subject).id
    const idsOf = async () => (await started.sessions.list(user, 1000)).map(({ digest }) => digest)
    const before = new Set(await idsOf())
    await started.open({
      identity: { ...identity, issuer, subject },
      metadata: { ...newSession.metadata, subject, owners: { user } },
    })
    return (await idsOf()).find((id) => !before.has(id)) as string
  }
  const ask = async (method: string, path: string, asked: Asked = {}): Promise<Response> => {
    const { headers = signed, body, from = OPERATOR } = asked
    const incoming = rawRequest(headers)
    Object.defineProperty(incoming.socket, 'remoteAddress', { value: from })
    const request = { method, headers, ...(body !== undefined && { body }) }
    return app.request(`http://vestibule:4181${path}`, request, { incoming })
  }
  return {
    app,
    events,
    published,
    broadcasts,
    lines,
    deniedTokens,
    ...started,
    openFor,
    openAll: async (...subjects: readonly string[]): Promise<string[]> => {
      const ids: string[] = []
      for (const subject of subjects) ids.push(await openFor(subject))
      return ids
    },
    ask,
    answer: async (...asked: Parameters<typeof ask>): Promise<[number, unknown]> => {
      const response = await ask(...asked)
      return [response.status, await response.json()]
    },
    eventCodes: () => lines.map(({ event }) => event),
    readMetric: async (name: string): Promise<number> => {
      const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(await metrics.registry.metrics())
      return Number(found?.[1])
    },
  }
}
