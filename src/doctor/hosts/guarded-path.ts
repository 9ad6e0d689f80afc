import type { Config } from '../../config/config.ts'
import { takesTokensOnly } from '../../core/access/access-rule.ts'
import { createRules } from '../../core/access/rule-set.ts'
import { parseForwardedRequest } from '../../core/forwarded-request.ts'
import { scanHeaders } from '../../core/sent-headers.ts'
import { createSites, patternOf, type Site } from '../../core/site.ts'

const CANDIDATES = ['/', '/vestibule-doctor', '/api/vestibule-doctor', '/admin/vestibule-doctor']

/** Returns a path of the host that the rules let nobody see without a session; `undefined` where none is known. Tries `named` alone where it is given. */
export function findGuardedPath(
  { rules }: Config,
  site: Site,
  named: string | undefined,
): string | undefined {
  const { findAccess } = createRules(rules)
  const sites = createSites([patternOf(site)])
  return (named === undefined ? CANDIDATES : [named]).find((path) => {
    const headers = scanHeaders([
      'X-Forwarded-Method',
      'GET',
      'X-Forwarded-Proto',
      site.scheme,
      'X-Forwarded-Host',
      site.host,
      'X-Forwarded-Uri',
      path,
    ])
    const access = findAccess(parseForwardedRequest(headers, sites))
    return access.kind === 'signed-in' && !takesTokensOnly(access)
  })
}
