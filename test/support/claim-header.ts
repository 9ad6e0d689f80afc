import type { IdentityHeader } from '../../src/core/identity-headers.ts'

export function claimHeader(name: string, claim: string): IdentityHeader {
  return { name, source: { kind: 'claim', claim } }
}
