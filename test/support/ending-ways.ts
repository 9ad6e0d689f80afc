import { expect } from 'vitest'
import type { EndReason } from '../../src/core/end-reason.ts'
import { expectLoggedOut, sendLogoutToken } from './backchannel-logout.ts'
import { move, signInAt } from './hybrid-replicas.ts'
import { ADMIN_TOKEN, askAdmin } from './operator.ts'
import { signOut } from './outage.ts'
import type { Behaviour, TestProvider } from './provider.ts'
import { tokensFor } from './refreshing-replicas.ts'
import { APP } from './relying-party.ts'
import { cookieHeader, LOGIN } from './sign-in-steps.ts'
import { storedSession } from './stored-session.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visitor } from './visitor.ts'

/** Replicas whose sessions end, with the settings below, and their provider. */
export interface EndingWorld {
  readonly all: readonly RunningVestibule[]
  readonly provider: TestProvider
}

export interface SignedIn {
  readonly sub: string
  readonly sid: string
  readonly browser: Visitor
  readonly cookie: string
  readonly digest: string
  readonly issuedAtMs: number
}

/** Session that is to end, another one of the same user, and the replica that is asked. */
export interface AskedEnd {
  readonly provider: TestProvider
  readonly at: RunningVestibule
  readonly mine: SignedIn
  readonly other: SignedIn
}

/** Way in which a session ends because somebody asks for it at one replica. */
export interface Way {
  readonly name: string
  readonly reason: EndReason
  readonly ask: (asked: AskedEnd) => Promise<unknown>
  /** Sessions that end besides. */
  readonly endsToo?: 'of the user' | 'of everybody'
  /** Present where the access token has to be past its end, and past the grace behind it. */
  readonly tokenSeconds?: number
}

/** Refused refreshes wait for the end of a token and of a grace, which tests wait for as well. */
const TOKEN_SECONDS = 1
const GRACE_SECONDS = 1
/** The session that is to end, another one of the same user, and one more. */
const SESSIONS_PER_USER = 3

export const ENDING_SETTINGS = {
  ADMIN_TOKEN,
  SESSIONS_PER_USER: `${SESSIONS_PER_USER}`,
  SESSION_REFRESH_GRACE: `${GRACE_SECONDS}`,
} as const

const refusal = (error: string): Behaviour => ({
  status: 400,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ error }),
})

/** The ways of design section 8 in which somebody ends a session; those in which time ends it are tested apart. */
export const WAYS: readonly Way[] = [
  {
    name: 'a sign-out in the same browser',
    reason: 'signed-out',
    ask: async ({ at, mine }) => expect((await signOut(move(mine.browser, at))).status).toBe(303),
  },
  {
    name: 'the end of one session at the page of sessions',
    reason: 'signed-out-elsewhere',
    ask: ({ at, mine, other }) => endOwn(move(other.browser, at), { id: mine.digest }),
  },
  {
    name: 'the end of all other sessions at the page of sessions',
    reason: 'signed-out-elsewhere',
    ask: ({ at, other }) => endOwn(move(other.browser, at), { others: 'all' }),
  },
  {
    name: 'a back-channel logout by sid',
    reason: 'provider',
    ask: ({ provider, at, mine }) => logOut(provider, at, { sid: mine.sid, sub: undefined }),
  },
  {
    name: 'a back-channel logout by sub',
    reason: 'provider',
    endsToo: 'of the user',
    ask: ({ provider, at, mine }) => logOut(provider, at, { sub: mine.sub }),
  },
  {
    name: 'an operator’s end of one session',
    reason: 'operator',
    ask: ({ at, mine }) => endAsOperator(at, `sessions/${mine.digest}`),
  },
  {
    name: 'an operator’s end of a user’s sessions',
    reason: 'operator',
    endsToo: 'of the user',
    ask: ({ at, mine }) => endAsOperator(at, `sessions?user=${mine.sub}`),
  },
  {
    name: 'an operator’s end of all sessions',
    reason: 'operator',
    endsToo: 'of everybody',
    ask: ({ at }) => endAsOperator(at, 'sessions?all=true'),
  },
  {
    name: 'a new sign-in in the same browser',
    reason: 'replaced',
    ask: async ({ at, mine }) => {
      const browser = move(mine.browser, at)
      await browser.signIn(`${LOGIN}?rd=/`, mine.sub)
      expect(cookieHeader(browser)).not.toBe(mine.cookie)
    },
  },
  {
    name: 'a sign-in beyond SESSIONS_PER_USER',
    reason: 'replaced',
    ask: async ({ at, mine }) => {
      for (let more = 2; more <= SESSIONS_PER_USER; more += 1) await signInAt(at, mine.sub)
    },
  },
  {
    name: 'a refresh that is refused with invalid_grant',
    reason: 'provider',
    tokenSeconds: TOKEN_SECONDS,
    ask: (asked) => refuseRefresh(asked, 'invalid_grant'),
  },
  {
    name: 'a refresh that is refused otherwise, after its grace',
    reason: 'provider',
    tokenSeconds: TOKEN_SECONDS,
    ask: (asked) => refuseRefresh(asked, 'invalid_request'),
  },
]

/** Time after a sign-in from which the access token and the grace behind it are over. */
export function overAfterMs({ tokenSeconds }: Way): number {
  return tokenSeconds === undefined ? 0 : (tokenSeconds + GRACE_SECONDS) * 1000 + 100
}

/** Signs in with a session at the provider of its own; not side by side, because the provider is told what to answer. */
export async function signInWithSid(
  provider: TestProvider,
  at: RunningVestibule,
  { sub, tokenSeconds }: { readonly sub: string; readonly tokenSeconds?: number | undefined },
): Promise<SignedIn> {
  const sid = crypto.randomUUID()
  if (tokenSeconds === undefined) provider.tamperIdToken({ sid })
  else provider.set('token', tokensFor(tokenSeconds))
  const { browser, cookie } = await signInAt(at, sub)
  provider.reset('token')
  const { digest } = storedSession(cookie)
  return { sub, sid, browser, cookie, digest, issuedAtMs: performance.now() }
}

async function endOwn(browser: Visitor, form: Readonly<Record<string, string>>): Promise<void> {
  const { status, body } = await browser.post(`${APP}/oauth2/sessions`, form)
  expect(status, body).toBeLessThan(400)
}

async function logOut(
  provider: TestProvider,
  at: RunningVestibule,
  claims: Parameters<TestProvider['mintLogoutToken']>[0],
): Promise<void> {
  expectLoggedOut(await sendLogoutToken(at, await provider.mintLogoutToken(claims)))
}

async function endAsOperator(at: RunningVestibule, path: string): Promise<void> {
  expect((await askAdmin(at, 'DELETE', path)).status).toBe(200)
}

async function refuseRefresh({ provider, at, mine }: AskedEnd, error: string): Promise<void> {
  provider.set('token', refusal(error))
  await at.check({}, { Cookie: mine.cookie })
}
