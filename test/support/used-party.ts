import { beforeEach, expect } from 'vitest'
import { type BearerParty, startBearerParty } from './bearers.ts'
import { prepared } from './prepared.ts'
import { expectLogin, expectRefusal } from './refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from './relying-party.ts'
import { cookieHeader, expectFailedSignIn, SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, VisitOptions, Visitor } from './visitor.ts'

type TokenAnswer = Record<string, unknown>
type Cookies = Visitor | string | undefined

/** A relying party for all tests of one file, with the questions that they ask it most. */
export interface UsedParty extends RelyingParty, Pick<RunningVestibule, 'check' | 'visitor'> {
  /** One request of a fresh browser at a path of the app. */
  readonly get: (path: string, options?: VisitOptions) => Promise<Visit>
  /** A check with these cookies and further headers. */
  readonly checkWith: (cookies: Cookies, headers?: VisitOptions['headers']) => Promise<Visit>
  /** The user whom a check lets in by these cookies, or the status of its refusal. */
  readonly userOf: (cookies: Cookies) => Promise<string | number>
  /** The value of the session cookie of a fresh sign-in. */
  readonly sessionOf: (sub?: string) => Promise<string>
  /** The number of token requests that an action makes. */
  readonly tokenRequests: (action: () => Promise<unknown>) => Promise<number>
  /** Has the token endpoint answer another ID token, made from the genuine one. */
  readonly replaceIdToken: (replace: (token: string, answer: TokenAnswer) => unknown) => void
  /** The answers of the token endpoint from now on, oldest first. */
  readonly recordTokens: () => readonly TokenAnswer[]
  /** Asserts that a sign-in fails and makes no session, and returns the answer. */
  readonly expectNoSignIn: (statuses?: readonly number[]) => Promise<Visit>
  /** Asserts that a callback fails with 400 and without a token request. */
  readonly expectNotRedeemed: (visit: () => Promise<Visit>, hostile?: string[]) => Promise<void>
  /** Asserts that a page, a script and `/me` are told that these cookies are no session. */
  readonly expectNoSession: (cookie: string | undefined) => Promise<void>
}

/** Starts a relying party before the tests of a file and stops it behind them; each test begins with a sane provider. */
export function useParty(
  settings: Readonly<Record<string, string>> = {},
  ...further: Tail<Parameters<typeof startRelyingParty>>
): UsedParty {
  return askable(useStarted(() => startRelyingParty(settings, ...further)))
}

/** The same for a party that is started in another way. */
export function usePartyOf(start: () => Promise<RelyingParty>): UsedParty {
  return askable(useStarted(start))
}

/** The same with rules for bearer tokens. */
export function useBearerParty(
  ...options: Parameters<typeof startBearerParty>
): UsedParty & Pick<BearerParty, 'mint' | 'present'> {
  const started = useStarted(() => startBearerParty(...options))
  return Object.assign(askable(started), {
    mint: (...details: Parameters<BearerParty['mint']>) => started().mint(...details),
    present: (...details: Parameters<BearerParty['present']>) => started().present(...details),
  })
}

type Tail<List> = List extends readonly [unknown?, ...infer Rest] ? Rest : never

function useStarted<Party extends RelyingParty>(start: () => Promise<Party>): () => Party {
  const started = prepared(start)
  beforeEach(() => {
    started().provider.reset()
    started().provider.forgetRequests()
  })
  return started
}

function askable(started: () => RelyingParty): UsedParty {
  const check: UsedParty['check'] = (...details) => started().vestibule.check(...details)
  const visitor: UsedParty['visitor'] = (...details) => started().vestibule.visitor(...details)
  const attempt: UsedParty['attempt'] = (...details) => started().attempt(...details)
  const checkWith: UsedParty['checkWith'] = (cookies, headers = {}) =>
    check({}, { Cookie: typeof cookies === 'object' ? cookieHeader(cookies) : cookies, ...headers })
  const asked = {
    attempt,
    check,
    visitor,
    checkWith,
    untilCallback: (sub?: string) => started().untilCallback(sub),
    get: (path: string, options?: VisitOptions) => visitor().get(`${APP}${path}`, options),
    userOf: async (cookies: Cookies) => {
      const { status, headers } = await checkWith(cookies)
      return status === 200 ? String(headers['x-auth-request-user']) : status
    },
    sessionOf: async (sub?: string) => {
      const value = (await attempt(sub)).browser.cookies.find(SESSION_COOKIE)?.value
      if (!value) throw new Error('the sign-in made no session')
      return value
    },
    [Symbol.asyncDispose]: () => started()[Symbol.asyncDispose](),
  }
  const party = { ...asked, ...tokenEndpoint(started) }
  return {
    ...party,
    ...assertions(party),
    get provider() {
      return started().provider
    },
    get vestibule() {
      return started().vestibule
    },
  }
}

function tokenEndpoint(started: () => RelyingParty) {
  const set = (rewrite: (answer: TokenAnswer) => TokenAnswer | Promise<TokenAnswer>) =>
    started().provider.set('token', { rewrite })
  return {
    tokenRequests: async (action: () => Promise<unknown>) => {
      const before = started().provider.count('token')
      await action()
      return started().provider.count('token') - before
    },
    replaceIdToken: (replace: (token: string, answer: TokenAnswer) => unknown) =>
      set(async (answer) => ({
        ...answer,
        id_token: await replace(String(answer['id_token']), answer),
      })),
    recordTokens: () => {
      const answers: TokenAnswer[] = []
      set((answer) => {
        answers.push(answer)
        return answer
      })
      return answers
    },
  }
}

type Asked = Pick<UsedParty, 'attempt' | 'checkWith' | 'get' | 'tokenRequests'>

function assertions({ attempt, checkWith, get, tokenRequests }: Asked) {
  return {
    expectNoSignIn: async (statuses: readonly number[] = [400, 502]) => {
      const { answer, isSignedIn, browser } = await attempt()
      expect(statuses).toContain(answer.status)
      expect(answer.headers['cache-control']).toBe('no-store')
      expect(answer.location).toBeUndefined()
      expect(isSignedIn).toBe(false)
      expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
      return answer
    },
    expectNotRedeemed: async (visit: () => Promise<Visit>, hostile: string[] = []) => {
      const count = await tokenRequests(async () => expectFailedSignIn(await visit(), hostile))
      expect(count).toBe(0)
    },
    expectNoSession: async (cookie: string | undefined) => {
      const me = await get('/oauth2/me', { headers: { Cookie: cookie } })
      expect([me.status, me.setCookies]).toEqual([401, []])
      expectLogin(await checkWith(cookie), `${APP}/`)
      expectRefusal(await checkWith(cookie, asScript), 401)
    },
  }
}

/** The headers by which a check knows a script from a page. */
export const asScript = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' } as const
