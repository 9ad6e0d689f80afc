import type { AccessRule } from '../../src/core/access/access-rule.ts'
import { createRules, type RuleSet } from '../../src/core/access/rule-set.ts'
import { createCookies } from '../../src/http/cookies.ts'
import { type CheckedRequest, createRequestParser } from '../../src/routes/check/checked-request.ts'
import { sitesOf } from './protected-sites.ts'
import { forwarded, rawRequest } from './raw-request.ts'

type Headers = Readonly<Record<string, string>>

/** A rule but for its name, which is its position here. */
export type UnnamedRule = AccessRule extends infer Rule
  ? Rule extends AccessRule
    ? Omit<Rule, 'name'>
    : never
  : never

export function ruleSetOf(
  rules: readonly UnnamedRule[],
  policies: RuleSet['policies'] = new Map(),
): RuleSet {
  const named = rules.map((rule, index): AccessRule => ({ ...rule, name: String(index + 1) }))
  return { rules: named, policies, claims: [], issuers: new Set(), fingerprint: '' }
}

/** Returns a parser of requests to `app.example.com` by these rules, whose client is at 192.0.2.7. */
export function requestParser(...set: Parameters<typeof ruleSetOf>) {
  const parse = createRequestParser({
    protectedSites: sitesOf('app.example.com'),
    rules: { current: createRules(ruleSetOf(...set)) },
    basePath: '/oauth2',
    proxies: {
      isTrustedPeer: () => true,
      clientAddress: () => '192.0.2.7',
      addressIn: () => '192.0.2.7',
      limitedOrigin: () => ({ address: '192.0.2.7', isTold: true }),
    },
    requireCertificate: () => undefined,
    cookies: createCookies({
      name: 'vestibule',
      domain: undefined,
      sameSite: 'lax',
      sessionMaxAgeSeconds: 86_400,
      outageGraceSeconds: 300,
    }),
    guardedNames: [],
  })
  return (headers: Headers = {}, url = '/auth'): CheckedRequest => {
    const raw = rawRequest(forwarded(headers))
    raw.url = url
    return parse(raw)
  }
}
