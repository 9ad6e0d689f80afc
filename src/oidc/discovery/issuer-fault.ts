import { shownText } from '../../core/clean-text.ts'
import type { FailureFacts } from '../../errors.ts'
import { ProviderFault } from '../request/provider-errors.ts'
import type { ProviderAddresses } from './internal-address.ts'
import type { IssuerUse } from './metadata.ts'

interface ExpectedIssuer extends ProviderAddresses {
  readonly use: IssuerUse
}

/**
 * Returns the error for metadata of another issuer (OpenID Connect Discovery 1.0 section 4.3); its message says which
 * setting to correct and how (finding C33).
 */
export function issuerFault(
  found: unknown,
  expected: ExpectedIssuer,
  facts: FailureFacts,
): ProviderFault {
  const setting = expected.use === 'sign-in' ? 'OIDC_ISSUER_URL' : 'the issuer in the rules'
  const known = { ...facts, expected: expected.issuerUrl }
  if (typeof found !== 'string' || found === '') {
    return new ProviderFault('the metadata name no issuer', undefined, known)
  }
  const received = shownText(found)
  const text = `the provider calls itself ${received}${remedyFor(received, expected, setting)}`
  return new ProviderFault(text, undefined, { ...known, received })
}

function remedyFor(found: string, expected: ExpectedIssuer, setting: string): string {
  const { issuerUrl, internalUrl } = expected
  if (found.includes('{')) {
    const tenant = found.replace(/\{[^}]*\}?/, '<tenant id>')
    return `, as if it were every tenant, but tokens name one; set ${setting} to ${tenant}`
  }
  const directory = /^https:\/\/sts\.windows\.net\/([^/]+)\/?$/.exec(found)?.[1]
  if (directory !== undefined) {
    const { origin } = new URL(issuerUrl)
    return `, as Entra's endpoints of version 1 do; set ${setting} to ${origin}/${directory}/v2.0`
  }
  if (internalUrl !== undefined && isSame(found, internalUrl)) {
    return ` where it is asked inside; make it call itself ${issuerUrl} there too (Keycloak: KC_HOSTNAME and KC_HOSTNAME_BACKCHANNEL_DYNAMIC=true)`
  }
  if (found.startsWith('http:') && isSame(found.replace('http:', 'https:'), issuerUrl)) {
    return '; it does not know that TLS ends before it: tell it its public address (Keycloak: KC_HOSTNAME)'
  }
  const isSlash = isSame(found, issuerUrl)
  return `; set ${setting} to exactly that${isSlash ? ' (only the spelling differs, as in a final slash)' : ''}`
}

/** Compares two addresses without regard to their spelling. */
function isSame(one: string, other: string): boolean {
  const [first, second] = [one, other].map((each) => URL.parse(each)?.href.replace(/\/$/, ''))
  return first !== undefined && first === second
}
