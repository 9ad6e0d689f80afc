import type { IncomingMessage } from 'node:http'
import type { Hono } from 'hono'
import { createInternalApp } from '../app.ts'
import type { Config } from '../config/config.ts'
import { createExplain } from '../core/access/explain/explain.ts'
import type { Rules } from '../core/access/rule-set.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { guardedNames } from '../core/identity-headers.ts'
import { createCertificateDemand, type RequireCertificate } from '../http/client-certificates.ts'
import { createRefusals } from '../http/error-answer.ts'
import type { NodeEnv } from '../http/request.ts'
import { createAdmin } from '../routes/admin/admin.ts'
import { createAllow } from '../routes/check/allow.ts'
import { createCheck } from '../routes/check/check.ts'
import { createDenials } from '../routes/check/deny.ts'
import { createFindBehind } from '../routes/check/find-behind.ts'
import { createOutageCookie } from '../routes/check/outage-cookie.ts'
import type { OverloadWatch } from '../routes/check/overload.ts'
import { createRefusalLog } from '../routes/check/refusal-log.ts'
import { createReportLog } from '../routes/check/report-log.ts'
import { createTokenCheck } from '../routes/check/token-evidence.ts'
import { createHealth } from '../routes/health.ts'
import type { SessionRefresher } from '../session/refresh/refresher.ts'
import type { SharedState } from '../store/shared-state.ts'
import { readContainerLimit } from '../telemetry/container-limit.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Bearers } from './bearers.ts'
import type { Events } from './events.ts'
import type { KeptCertificate } from './internal-tls.ts'
import type { Caches } from './listeners.ts'
import { cacheBounds, memoryNeed } from './memory-budget.ts'
import type { Oidc } from './oidc.ts'
import { refreshPatienceMs } from './refresher.ts'
import type { KeptRules } from './rules.ts'
import type { ComposedSessions } from './sessions.ts'
import type { Web } from './web.ts'

export interface InternalRoutesOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly version: string
  readonly isAccepting: () => boolean
  readonly overload: OverloadWatch
  readonly rules: KeptRules
  readonly state: SharedState
  readonly oidc: Oidc
  readonly bearers: Bearers
  readonly sessions: ComposedSessions
  readonly refresher: SessionRefresher
  readonly caches: Caches
  readonly web: Web
  /** Absent where the internal listener speaks plain HTTP. */
  readonly certificate: KeptCertificate | undefined
  readonly events: Events
}

/** Makes the app for Traefik, probes, Prometheus and operators. */
export function composeInternalRoutes(options: InternalRoutesOptions): Hono<NodeEnv> {
  const { config, log, metrics, version, isAccepting, state, oidc, web } = options
  const { addresses, writePage, proxies } = web
  const { sessions } = options.sessions
  const { streams } = options.events
  const requireCertificate = createCertificateDemand(config.internalTls?.clientCaFile !== undefined)
  const check = composeCheck(options, requireCertificate)
  const health = createHealth({
    isReady: isAccepting,
    firstAttempts: Promise.all([oidc.provider.firstAttempt, state.firstAttempt]),
    isProviderDiscovered: () => oidc.provider.isDiscovered,
    mode: config.mode,
    redis: state.redis,
    revocationsWaiting: () => sessions.revocations.waiting,
    events: () => ({ streams: streams.size, findings: options.events.findings() }),
    memoryNeed: memoryNeed(cacheBounds(config), options.events.maxStreams),
    containerLimit: readContainerLimit,
    ofFiles: () => [...(options.certificate?.findings() ?? []), ...options.rules.findings()],
    version,
  })
  const admin = createAdmin({
    log,
    metrics,
    sessions,
    now: options.now,
    token: config.settings.ADMIN_TOKEN,
    broadcastToken: config.settings.BROADCAST_TOKEN,
    broadcasts: options.events.broadcasts,
    protectedSites: web.protectedSites,
    issuer: config.settings.OIDC_ISSUER_URL,
    deniedTokens: options.bearers.deniedTokens,
    bearerIssuers: options.bearers.issuers,
    caches: options.caches,
    backplane: state.backplane,
    explain: createExplain({
      rules: options.rules,
      protectedSites: web.protectedSites,
      basePath: config.settings.BASE_PATH,
      identity: oidc.identity,
      issuer: config.settings.OIDC_ISSUER_URL,
      clientAddress: proxies.addressIn,
    }),
  })
  const clientOf = (raw: IncomingMessage) => proxies.clientAddress(raw)
  const refuse = createRefusals({ addresses, writePage, log, metrics, clientOf })
  return createInternalApp(
    { check, ...health, admin },
    metrics.registry,
    refuse,
    requireCertificate,
  )
}

function composeCheck(options: InternalRoutesOptions, requireCertificate: RequireCertificate) {
  const { config, log, metrics, now, rules, bearers, state, web } = options
  const { settings, identityHeaders } = config
  const { sessions, outageAssertions, outageGraceMs } = options.sessions
  const { addresses, cookies, writePage, proxies, protectedSites, returnTo, realmOf } = web
  const storeTimeoutMs = settings.CHECK_STORE_TIMEOUT_MS
  const findBehind = createFindBehind({ sessions, realmOf, storeTimeoutMs })
  const clientAddress = (raw: IncomingMessage) => proxies.clientAddress(raw)
  countReports(rules, metrics)
  return createCheck({
    cookies,
    proxies,
    requireCertificate,
    protectedSites,
    realmOf,
    metrics,
    now,
    sessions,
    rules,
    storeTimeoutMs,
    refresher: options.refresher,
    patienceMs: refreshPatienceMs(config),
    renewOutageCookie: createOutageCookie({
      cookies,
      assertions: outageAssertions,
      graceMs: outageGraceMs,
    }),
    isOverloaded: options.overload.isOverloaded,
    bearers: createTokenCheck({
      storeTimeoutMs,
      now,
      verifier: bearers.verifier,
      verifyProof: bearers.verifyProof,
      denied: bearers.deniedTokens,
      oneTimeKeys: state.oneTimeKeys,
      onReplay: (kind) => metrics.replayRefused(kind),
    }),
    basePath: settings.BASE_PATH,
    guardedNames: settings.ALIAS_HEADERS === 'reject' ? guardedNames(identityHeaders) : [],
    allow: createAllow({
      now,
      headers: identityHeaders,
      headersMaxBytes: settings.IDENTITY_HEADERS_MAX_BYTES,
      authorization: settings.PASS_AUTHORIZATION,
    }),
    denials: createDenials({ addresses, cookies, returnTo, writePage }),
    refusalLog: createRefusalLog({ cookies, findBehind, clientAddress, log }),
    reportLog: createReportLog({
      findBehind,
      clientAddress,
      log,
      onWouldDeny: (rule) => metrics.wouldDeny(rule),
    }),
  })
}

/** Counts the report rules that are in force, each from 0. */
function countReports(rules: KeptRules, metrics: Metrics): void {
  const count = ({ set }: Rules) =>
    metrics.setReportRules(set.rules.flatMap(({ name, isReport }) => (isReport ? [name] : [])))
  count(rules.current)
  rules.onReplaced(count)
}
