import { writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Config } from '../../../src/config/config.ts'
import { identityOptions } from '../../../src/config/identity-options.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { createRules, type Rules } from '../../../src/core/access/rule-set.ts'
import { type Claims, withoutEmptyMembers } from '../../../src/core/claims.ts'
import { decide, type Evidence, needsEvidence, type Verdict } from '../../../src/core/decision.ts'
import { parseForwardedRequest } from '../../../src/core/forwarded-request.ts'
import type { Identity } from '../../../src/core/identity.ts'
import { claimsNamedBy } from '../../../src/core/identity-headers.ts'
import { isUnder } from '../../../src/core/path-readings.ts'
import { type IdentityOptions, toIdentity } from '../../../src/core/read-identity.ts'
import { classify, type RequestClass } from '../../../src/core/request-class.ts'
import { createSites } from '../../../src/core/site.ts'
import { AuthError } from '../../../src/errors.ts'
import { createTrustedProxies } from '../../../src/http/trusted-proxies.ts'
import { confidential } from '../configuration.ts'
import { rawRequest, sentHeaders } from '../raw-request.ts'
import type { PolicyAnswer, SentCheck, SentClaims } from './written.ts'

/** Answers a request as the product's own functions do, without sessions and the wire. */
export type AskProduct = (sent: SentCheck, claims: SentClaims | undefined) => PolicyAnswer

/**
 * Loads a settings file, which is written to this path, as a start does. Throws `ConfigError` for one that stops a start.
 */
export function loadProduct(yaml: string, path: string, hosts: readonly string[]): AskProduct {
  writeFileSync(path, yaml)
  return createProduct(
    loadConfig({
      ...confidential,
      PROTECTED_HOSTS: hosts.join(),
      ALLOW_ANY_USER: '',
      VESTIBULE_CONFIG: path,
    }),
  )
}

/** Answers by a configuration as loaded. */
export function createProduct(config: Config): AskProduct {
  const rules = createRules(config.rules)
  const sites = createSites(config.hosts)
  const proxies = createTrustedProxies(config.trustedNetworks)
  const options: IdentityOptions = {
    ...identityOptions(config.settings),
    claims: claimsNamedBy(config.identityHeaders, config.rules.claims),
  }
  return (sent, claims) => {
    try {
      return ask(sent, claims && identityOf(claims, options), { rules, sites, proxies })
    } catch (error) {
      if (error instanceof AuthError) return answer(statusOf(error))
      throw error
    }
  }
}

/** Reads claims and stores what is kept of them, as a sign-in does. */
function identityOf(claims: SentClaims, options: IdentityOptions): Identity {
  const identity = toIdentity(withoutEmptyMembers(claims) as Claims, options)
  return JSON.parse(JSON.stringify(identity)) as Identity
}

interface Product {
  readonly rules: Rules
  readonly sites: ReturnType<typeof createSites>
  readonly proxies: ReturnType<typeof createTrustedProxies>
}

function ask(sent: SentCheck, identity: Identity | undefined, product: Product): PolicyAnswer {
  const { rules, sites, proxies } = product
  const demand = rules.readDemand(sent.query === '' ? '/auth' : `/auth?${sent.query}`)
  const lines = headersOf(sent)
  const headers = sentHeaders(lines)
  const request = parseForwardedRequest(headers, sites)
  if (isUnder('/oauth2', request.readings.all)) return answer(403)
  const access = rules.findAccess(request, demand)
  const requestClass = classify(headers, request.method)
  const raw = rawRequest(lines)
  Object.defineProperty(raw, 'socket', { value: PEER })
  const address =
    access.kind === 'signed-in' && access.needsAddress ? proxies.clientAddress(raw) : undefined
  const evidence: Evidence =
    identity && needsEvidence(access, requestClass)
      ? { kind: 'session', session: { identity, createdAt: 0, expiresAt: 1 } }
      : { kind: 'none' }
  return answerOf(decide(access, requestClass, evidence, address), requestClass)
}

const PEER = Object.defineProperty(new Socket(), 'remoteAddress', { value: '127.0.0.1' })

const KINDS: Readonly<Record<SentCheck['kind'], Readonly<Record<string, string>>>> = {
  page: { Accept: 'text/html' },
  form: { Accept: 'text/html' },
  script: { 'X-Requested-With': 'XMLHttpRequest' },
  preflight: { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'GET' },
}

/** Returns the headers that Traefik sends to the check. */
export function headersOf(sent: SentCheck): Readonly<Record<string, string>> {
  return {
    'X-Forwarded-Method': sent.method,
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': sent.host,
    'X-Forwarded-Uri': sent.path,
    ...(sent.forwardedFor !== undefined && { 'X-Forwarded-For': sent.forwardedFor }),
    ...KINDS[sent.kind],
  }
}

const REFUSALS: Readonly<Record<string, PolicyAnswer['status']>> = {
  invalid_request: 400,
  hidden_dots: 400,
  foreign_host: 400,
  unknown_policy: 403,
}

/** Returns the status of a refused request; any other error is a failure, which no case asks for. */
function statusOf(error: AuthError): PolicyAnswer['status'] {
  const status = REFUSALS[error.code]
  if (status === undefined) throw error
  return status
}

function answer(status: PolicyAnswer['status'], isNamed = false): PolicyAnswer {
  return { status, isNamed }
}

function answerOf(verdict: Verdict, requestClass: RequestClass): PolicyAnswer {
  switch (verdict.kind) {
    case 'allow':
      return answer(200, verdict.principal !== undefined)
    case 'sign-in':
      if (requestClass === 'navigation') return answer(302)
      return answer(requestClass === 'form-navigation' ? 303 : 401)
    case 'forbidden':
      return answer(403)
    case 'reset-cookies':
    case 'refuse-token':
      throw new Error(`${verdict.kind} without a cookie and without a token`)
  }
}
