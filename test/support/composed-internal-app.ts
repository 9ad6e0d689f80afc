import { randomBytes } from 'node:crypto'
import { ServerResponse } from 'node:http'
import { composeBearers } from '../../src/compose/bearers.ts'
import { composeEvents } from '../../src/compose/events.ts'
import { composeInternalRoutes } from '../../src/compose/internal-routes.ts'
import { composeOidc } from '../../src/compose/oidc.ts'
import { composeRefresher } from '../../src/compose/refresher.ts'
import { composeSessions } from '../../src/compose/sessions.ts'
import { openSharedState } from '../../src/compose/state.ts'
import { composeWeb } from '../../src/compose/web.ts'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createRules, type RuleSet } from '../../src/core/access/rule-set.ts'
import type { Claims } from '../../src/core/claims.ts'
import { toIdentity } from '../../src/core/read-identity.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { rawRequest } from './raw-request.ts'
import { newSession } from './session-values.ts'
import { defaultSettings } from './vestibule.ts'

/** Composes the internal app of a service in memory mode, whose rules a test replaces and whose sessions it makes. */
export function composeInternalApp(settings: Environment = {}) {
  const config = loadConfig({ ...defaultSettings, ...settings })
  const lines: string[] = []
  const log = createLog('info', { write: (line) => void lines.push(line) })
  const now = Date.now
  const metrics = createMetrics({ hasRedis: false })
  const rules = {
    current: createRules(config.rules),
    onReplaced: () => undefined,
    findings: () => [],
    close: () => undefined,
  }
  const ring = createKeyRing([randomBytes(32)])
  const fingerprint = () => ({
    keys: ring.fingerprints(),
    mode: config.mode,
    version: 'test',
    rules: 'test',
  })
  const isAccepting = () => true
  const common = { config, log, metrics, now }
  const state = openSharedState({ ...common, fingerprint })
  const oidc = composeOidc({ ...common, rules })
  const bearers = composeBearers({ ...common, rules, state, oidc })
  const events = composeEvents({ ...common, ring, state })
  const { streams } = events
  const sessions = composeSessions({ ...common, ring, state, streams })
  const refresher = composeRefresher({ ...common, state, oidc, sessions, streams, isAccepting })
  const web = composeWeb({ config, oidc, outageGraceMs: sessions.outageGraceMs })
  const parts = { rules, state, oidc, bearers, sessions, refresher, web, events }
  const app = composeInternalRoutes({
    ...common,
    ...parts,
    version: 'test',
    isAccepting,
    overload: { isOverloaded: () => false, close: () => undefined },
    caches: { sessions: sessions.cache, tokens: bearers.verifier },
    certificate: undefined,
  })

  return {
    lines,
    settings: config.settings,
    cachedBytes: () => sessions.cache.bytes,
    replaceRules: (set: RuleSet) => {
      rules.current = createRules(set)
    },
    /** Signs in whoever has these claims and returns the header with the session cookie. */
    signIn: async (claims: Claims, host = 'app.example.com') => {
      const identity = toIdentity({ iss: 'http://127.0.0.1:9', ...claims }, oidc.identity)
      const tokens = { ...newSession.tokens, accessTokenExpiresAt: now() + 3_600_000 }
      const session = { ...newSession, tokens, identity, realm: host }
      return { Cookie: `__Host-vestibule=${await sessions.sessions.open(session)}` }
    },
    request: async (path: string, headers: Readonly<Record<string, string>>, body?: string) => {
      const incoming = rawRequest(headers)
      incoming.url = path
      incoming.method = body === undefined ? 'GET' : 'POST'
      Object.defineProperty(incoming.socket, 'remoteAddress', { value: '127.0.0.1' })
      const init = { method: incoming.method, headers, ...(body !== undefined && { body }) }
      const outgoing = new ServerResponse(incoming)
      return app.request(`http://vestibule:4181${path}`, init, { incoming, outgoing })
    },
    async close() {
      oidc.close()
      await refresher.finish(0)
      bearers.close()
      await sessions.close()
      await state.close()
    },
  }
}
