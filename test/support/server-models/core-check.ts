import { createAccessFinder } from '../../../src/core/access/access-finder.ts'
import { type AccessRule } from '../../../src/core/access/access-rule.ts'
import { parseForwardedRequest } from '../../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { createSites, type HostPattern, parseHostPattern } from '../../../src/core/site.ts'
import { AuthError } from '../../../src/errors.ts'
import { forwarded, sentHeaders } from '../raw-request.ts'
import type { PolicyRule } from './policy.ts'
import type { Check } from './wrong-allows.ts'

const sites = createSites([parseHostPattern('app.example.com') as HostPattern])
const admins = {
  groups: new Set(['admins']),
  emails: new Set<string>(),
  emailDomains: new Set<string>(),
}

export function compilePolicy(rules: readonly PolicyRule[]): readonly AccessRule[] {
  return rules.map(({ pattern, access }, index) => ({
    name: String(index + 1),
    paths: [compilePathPattern(pattern)],
    access: access === 'admins' ? 'signed-in' : access,
    passesPreflight: false,
    ...(access === 'admins' && { allowed: admins }),
  }))
}

/** Answers as the check does, without sessions and the wire: alice is of the admins, bob is signed in. */
export const checkInCore: Check = (rules, path) => {
  const findAccess = createAccessFinder(compilePolicy(rules))
  try {
    const request = parseForwardedRequest(
      sentHeaders(forwarded({ 'X-Forwarded-Uri': path })),
      sites,
    )
    const access = findAccess(request)
    return (person) => {
      if (access.kind !== 'signed-in' || person === 'nobody') return access.kind === 'public'
      const groups = person === 'alice' ? ['admins'] : []
      return access.permits({ identity: { issuer: 'i', subject: person, groups, claims: {} } })
    }
  } catch (error) {
    if (error instanceof AuthError) return () => false
    throw error
  }
}
