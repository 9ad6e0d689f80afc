import { createInternalApp } from '../app.ts'
import { ACCESS_TOKEN_HEADER } from '../core/identity.ts'
import { createRefusals } from '../http/error-answer.ts'
import { createAdmin } from '../routes/admin/admin.ts'
import { createAllow } from '../routes/check/allow.ts'
import { createCheck } from '../routes/check/check.ts'
import { createDenials } from '../routes/check/deny.ts'
import { createOutageCookie } from '../routes/check/outage-cookie.ts'
import { createBearers } from '../routes/check/token-evidence.ts'
import { createHealth } from '../routes/health.ts'
import type { Parts, ServiceOptions } from './parts.ts'

/** What Traefik, the kubelet, Prometheus and operators reach. */
export function composeInternalApp(options: ServiceOptions, parts: Parts) {
  const { settings, rules, identityHeaders } = options.config
  const { provider, metrics, proxies, state } = parts
  const storeTimeoutMs = settings.CHECK_STORE_TIMEOUT_MS
  const guardedNames = [...identityHeaders.map(({ name }) => name), ACCESS_TOKEN_HEADER]
  const check = createCheck({
    ...parts,
    rules,
    storeTimeoutMs,
    isPassingTokens: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    refreshGraceMs: settings.SESSION_REFRESH_GRACE * 1000,
    renewOutageCookie: createOutageCookie(parts),
    isOverloaded: parts.overload.isOverloaded,
    bearers: createBearers({
      ...parts,
      storeTimeoutMs,
      onReplay: (kind) => metrics.replayRefused(kind),
    }),
    basePath: settings.BASE_PATH,
    guardedNames: settings.ALIAS_HEADERS === 'reject' ? guardedNames : [],
    allow: createAllow({
      ...parts,
      headers: identityHeaders,
      headersMaxBytes: settings.IDENTITY_HEADERS_MAX_BYTES,
      passesAccessToken: settings.PASS_ACCESS_TOKEN,
      passesAuthorization: settings.PASS_AUTHORIZATION,
    }),
    denials: createDenials(parts),
  })
  const health = createHealth({
    isReady: options.isAccepting,
    firstAttempts: Promise.all([provider.firstAttempt, state.firstAttempt]),
    isProviderDiscovered: () => provider.isDiscovered,
    mode: parts.mode,
    redis: state.redis,
    revocationsWaiting: () => parts.sessions.revocations.waiting,
    version: options.version,
  })
  const refuse = createRefusals({ ...parts, clientOf: (raw) => proxies.clientAddress(raw) })
  const admin = createAdmin({
    ...parts,
    token: settings.ADMIN_TOKEN,
    issuer: settings.OIDC_ISSUER_URL,
  })
  return createInternalApp({ check, ...health, admin }, metrics.registry, refuse)
}
