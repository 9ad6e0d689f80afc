/** Top-level names under which nobody registers names: reserved by RFC 2606, 6761, 6762, 9476 or ICANN, or common inside. */
const PRIVATE = new Set(
  'localhost test example invalid local alt internal intranet private corp home lan'.split(' '),
)

/**
 * Returns whether a domain is one label under which strangers register names, as `com`: a wildcard or cookie for it would
 * reach their hosts. A label that is not known as private counts as public, as in browsers.
 */
export function isPublicTopLevelDomain(domain: string): boolean {
  return /^[^.]+$/.test(domain) && !PRIVATE.has(domain.toLowerCase())
}
