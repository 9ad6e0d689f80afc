/** Names of our cookies before a prefix, by purpose. */
export interface CookieBases {
  readonly session: string
  readonly outage: string
  readonly binding: string
  readonly target: string
}

/** Returns the names of all cookies of an installation whose session cookie has this name. */
export function cookieBases(session: string): CookieBases {
  return {
    session,
    outage: `${session}_outage`,
    binding: `${session}_login`,
    target: `${session}_target`,
  }
}

/** Returns a name with each prefix that it may have (RFC 6265bis section 4.1.3). */
export function cookieVariants(base: string): string[] {
  return [base, `__Host-${base}`, `__Secure-${base}`]
}
