import type { EndReason } from '../../src/core/end-reason.ts'
import type { SessionCredential } from '../../src/core/session.ts'
import type { LogoutToken } from '../../src/oidc/tokens/logout-token.ts'
import { userOwner } from '../../src/session/owners.ts'
import type { ProviderLogout } from '../../src/session/provider-logout.ts'
import type { Sessions } from '../../src/session/sessions.ts'
import { identity, REALM, sessionDigest } from './started-sessions.ts'

/** Replica at which sessions are ended. */
export interface Ending {
  readonly sessions: Sessions
  readonly endAsAtProvider: ProviderLogout
  readonly signIn: (subject: string, sid?: string) => Promise<SessionCredential>
}

/** Session to end, of the user `who` and the provider session `${who} at work`. */
export interface Ended {
  readonly credential: SessionCredential
  readonly who: string
}

/** Way in which a session ends, with the reason that its pages are told. */
export type Way = readonly [
  name: string,
  reason: EndReason,
  end: (by: Ending, ended: Ended) => Promise<unknown>,
]

/** Returns a logout token of its own. */
export function logoutToken(ended: LogoutToken['ended']): LogoutToken {
  const { issuer } = identity
  return { issuer, jti: crypto.randomUUID(), ended, acceptedUntil: Date.now() + 60_000 }
}
const digestOf = ({ credential }: Ended) => sessionDigest(credential)
const ownerOf = ({ who }: Ended) => userOwner(identity.issuer, who)

/** Ends by the provider, which are deferred by themselves while the store is away. */
const PROVIDERS: readonly Way[] = [
  [
    'back-channel logout by sid',
    'provider',
    ({ endAsAtProvider }, { who }) => endAsAtProvider(logoutToken({ sid: `${who} at work` })),
  ],
  [
    'back-channel logout by sub',
    'provider',
    ({ endAsAtProvider }, { who }) => endAsAtProvider(logoutToken({ subject: who })),
  ],
]

/** Number of sessions of a user above which the oldest one goes. */
export const PER_USER = 3

export const AT_ONCE: readonly Way[] = [
  ...PROVIDERS,
  ['sign-out', 'signed-out', ({ sessions }, { credential }) => sessions.endTogether(credential)],
  [
    'sign-out at another host of the same browser',
    'signed-out',
    async ({ sessions, signIn }, { who }) =>
      sessions.endTogether(await signIn(who, `${who} at work`)),
  ],
  ...(
    [
      ['sign-out from another session', 'signed-out-elsewhere'],
      ['refusal of a refresh', 'provider'],
      ["operator's end of one session", 'operator'],
      ['new sign-in in this browser', 'replaced'],
    ] as const
  ).map(
    ([name, reason]): Way => [
      name,
      reason,
      ({ sessions }, ended) => sessions.end(digestOf(ended), reason),
    ],
  ),
  [
    "operator's end of a user",
    'operator',
    ({ sessions }, ended) => sessions.endAllOf(ownerOf(ended), { reason: 'operator' }),
  ],
  [
    "operator's end of everybody",
    'operator',
    ({ sessions }) => sessions.endAll({ reason: 'operator' }),
  ],
  [
    'sign-in above SESSIONS_PER_USER',
    'replaced',
    async ({ signIn }, { who }) => {
      for (let count = 0; count < PER_USER; count += 1) await signIn(who, `${who} ${count}`)
    },
  ],
]

const ORDER = 'operator'

/** Ends that wait until the store is back. */
export const DEFERRED: readonly Way[] = [
  ...PROVIDERS,
  [
    'sign-out',
    'signed-out',
    async ({ sessions }, { credential }) => sessions.deferEndTogether(credential),
  ],
  [
    'sign-out that nobody could verify',
    'signed-out',
    async ({ sessions }, { credential }) =>
      sessions.deferUnverifiedEnd(credential, REALM, '203.0.113.7'),
  ],
  [
    'sign-out from another session',
    'signed-out-elsewhere',
    async ({ sessions }, ended) => sessions.deferEnd(digestOf(ended), 'signed-out-elsewhere'),
  ],
  [
    "operator's end of one session",
    ORDER,
    async ({ sessions }, ended) => sessions.deferEnd(digestOf(ended), ORDER),
  ],
  [
    "operator's end of a user",
    ORDER,
    async ({ sessions }, ended) =>
      sessions.deferAllOf(ownerOf(ended), { asked: sessions.moment(), reason: ORDER }),
  ],
  [
    "operator's end of everybody",
    ORDER,
    async ({ sessions }) =>
      sessions.deferAllOf(undefined, { asked: sessions.moment(), reason: ORDER }),
  ],
]
