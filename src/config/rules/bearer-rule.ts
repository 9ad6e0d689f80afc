import type { BearerRequirement } from '../../core/bearer.ts'
import { checkIssuerUrl } from '../issuer-url.ts'
import type { Settings } from '../settings/settings.ts'
import type { RuleSource } from './rules-file.ts'

type BearerSource = NonNullable<RuleSource['bearer']>

/** Characters of a scope (RFC 6749, section 3.3), which challenges repeat. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** Compiles the tokens that a rule accepts. */
export function compileBearer(
  source: BearerSource,
  where: string,
  settings: Settings,
  problems: string[],
): BearerRequirement {
  const { issuers = [settings.OIDC_ISSUER_URL], audiences, scopes = [], claims = {} } = source
  for (const issuer of source.issuers ?? []) {
    checkIssuerUrl(`${where}.issuers: ${issuer}`, issuer, settings, problems)
  }
  for (const scope of scopes.filter((each) => !SCOPE.test(each))) {
    problems.push(`${where}.scopes: ${scope} is not one scope; write several as a list`)
  }
  if (source.tokenType === 'jwt' && audiences.includes(settings.OIDC_CLIENT_ID)) {
    problems.push(
      `${where}.audiences: ${settings.OIDC_CLIENT_ID} is OIDC_CLIENT_ID, and with tokenType: jwt a token for it would be an ID token; name the API instead`,
    )
  }
  return {
    issuers: new Set(issuers),
    audiences: new Set(audiences),
    scopes,
    claims: new Map(
      Object.entries(claims).map(([name, values]) => [name, new Set([values].flat().map(String))]),
    ),
    type: source.tokenType,
  }
}
