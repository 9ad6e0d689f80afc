import { type Claims, isAbsent } from './claims.ts'

/** Claims that qualify another claim, and only the one from the same source (finding C6). */
const QUALIFIERS = [
  ['email_verified', 'email'],
  ['phone_number_verified', 'phone_number'],
] as const

/** Claims about the ID token itself, ignored in UserInfo (RFC 7519 section 4.1, OpenID Connect Core 1.0 section 2). */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(
  'iss aud exp nbf iat jti nonce azp at_hash c_hash sid'.split(' '),
)

/**
 * Completes the claims of an ID token from UserInfo (OpenID Connect Core 1.0 section 5.3). The ID token takes
 * precedence, `null` and `""` count as absent, and a qualifier is taken only from a source with the same value of the
 * qualified claim.
 */
export function completeClaims(idToken: Claims, userInfo: Claims): Claims {
  const own = present(idToken)
  const further = present(userInfo, OF_THE_TOKEN)
  const merged: Record<string, unknown> = { ...further, ...own }
  for (const [qualifier, subject] of QUALIFIERS) {
    const source = [own, further].find(
      (each) => Object.hasOwn(each, qualifier) && each[subject] === merged[subject],
    )
    if (source) merged[qualifier] = source[qualifier]
    else delete merged[qualifier]
  }
  return merged
}

function present(claims: Claims, without?: ReadonlySet<string>): Claims {
  return Object.fromEntries(
    Object.entries(claims).filter(([name, value]) => !isAbsent(value) && !without?.has(name)),
  )
}
