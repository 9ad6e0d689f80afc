import type { Session } from '../core/session.ts'
import { digestOfParts } from '../crypto/digest.ts'
import type { Owner, Owners } from '../store/sessions-by-owner.ts'

/** Returns the owner id of a user; no two issuers have a user in common. */
export function userOwner(issuer: string, subject: string): Owner {
  return { kind: 'user', id: digestOfParts(issuer, subject) }
}

/** Returns the owner id of a provider session (`sid`), to which several of our sessions may belong. */
export function providerSessionOwner(issuer: string, sid: string): Owner {
  return { kind: 'providerSession', id: digestOfParts(issuer, 'sid', sid) }
}

export function namedOwnersOf({ identity, providerSession }: Session): Owners {
  const user = userOwner(identity.issuer, identity.subject).id
  return providerSession === undefined ? { user } : { user, providerSession }
}

export function ownersOf(session: Session): readonly Owner[] {
  const { user, providerSession } = namedOwnersOf(session)
  const ofUser: Owner = { kind: 'user', id: user }
  return providerSession === undefined
    ? [ofUser]
    : [ofUser, { kind: 'providerSession', id: providerSession }]
}
