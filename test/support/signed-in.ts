import type { Access, SignedInAccess } from '../../src/core/access/access-rule.ts'

/** Returns the access of signed-in users; throws for any other. */
export function signedIn(access: Access): SignedInAccess {
  if (access.kind !== 'signed-in') throw new Error(`the access is ${access.kind}`)
  return access
}
