import type { Session } from '../core/session.ts'
import { digestOfParts } from '../crypto/digest.ts'
import type { Owner, Owners } from '../store/session-index.ts'

/** A user by whom they are at their provider; no two issuers have a user in common. */
export function userOwner(issuer: string, subject: string): Owner {
  return { kind: 'user', id: digestOfParts(issuer, subject) }
}

/** A session at the provider (`sid`), to which several of ours may belong. */
export function providerSessionOwner(issuer: string, sid: string): Owner {
  return { kind: 'providerSession', id: digestOfParts(issuer, 'sid', sid) }
}

/** Returns the owners of a session as its index takes them. */
export function namedOwnersOf({ identity, providerSession }: Session): Owners {
  const user = userOwner(identity.issuer, identity.subject).id
  return providerSession === undefined ? { user } : { user, providerSession }
}

/** Returns the owners of a session as a list. */
export function ownersOf(session: Session): readonly Owner[] {
  const { user, providerSession } = namedOwnersOf(session)
  const ofUser: Owner = { kind: 'user', id: user }
  return providerSession === undefined
    ? [ofUser]
    : [ofUser, { kind: 'providerSession', id: providerSession }]
}
