import type { Session } from '../core/session.ts'
import { consumptionKey } from '../store/one-time-keys.ts'
import type { Owner } from '../store/session-index.ts'

/** A user by whom they are at their provider; no two issuers have a user in common. */
export function userOwner(issuer: string, subject: string): Owner {
  return { kind: 'user', id: consumptionKey(issuer, subject) }
}

/** A session at the provider (`sid`), to which several of ours may belong. */
export function providerSessionOwner(issuer: string, sid: string): Owner {
  return { kind: 'providerSession', id: consumptionKey(issuer, 'sid', sid) }
}

/** Whose a session is. */
export function ownersOf({ identity, providerSession }: Session): readonly Owner[] {
  const user = userOwner(identity.issuer, identity.subject)
  return providerSession === undefined
    ? [user]
    : [user, { kind: 'providerSession', id: providerSession }]
}
