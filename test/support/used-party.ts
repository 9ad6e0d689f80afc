import { beforeEach, expect } from 'vitest'
import { type BearerParty, startBearerParty } from './bearers.ts'
import { prepared } from './prepared.ts'
import { expectLogin, expectRefusal } from './refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from './relying-party.ts'
import { cookieHeader, expectFailedSignIn, SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, VisitHeaders, VisitOptions, Visitor } from './visitor.ts'

type TokenAnswer = Record<string, unknown>
type Cookies = Visitor | string | undefined

/** A relying party for all tests of one file, with the questions that they ask it most. */
export type UsedParty = ReturnType<typeof askable>

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

function askable(started: () => RelyingParty) {
  const check: RunningVestibule['check'] = (...details) => started().vestibule.check(...details)
  const visitor: RunningVestibule['visitor'] = (...details) =>
    started().vestibule.visitor(...details)
  const attempt: RelyingParty['attempt'] = (...details) => started().attempt(...details)
  const checkWith = (cookies: Cookies, headers: VisitHeaders = {}) =>
    check({}, { Cookie: typeof cookies === 'object' ? cookieHeader(cookies) : cookies, ...headers })
  const asked = {
    attempt,
    check,
    visitor,
    checkWith,
    untilCallback: (sub?: string) => started().untilCallback(sub),
    get: (path: string, options?: VisitOptions) => visitor().get(`${APP}${path}`, options),
    /** The user whom a check lets in by these cookies, or the status of its refusal. */
    userOf: async (cookies: Cookies): Promise<string | number> => {
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
    /** Has the token endpoint answer another ID token, made from the genuine one. */
    replaceIdToken: (replace: (token: string, answer: TokenAnswer) => unknown) =>
      set(async (answer) => ({
        ...answer,
        id_token: await replace(String(answer['id_token']), answer),
      })),
    /** The answers of the token endpoint from now on, oldest first. */
    recordTokens: (): readonly TokenAnswer[] => {
      const answers: TokenAnswer[] = []
      set((answer) => {
        answers.push(answer)
        return answer
      })
      return answers
    },
  }
}

interface Asked extends Pick<RelyingParty, 'attempt'> {
  readonly checkWith: (cookies: Cookies, headers?: VisitHeaders) => Promise<Visit>
  readonly get: (path: string, options?: VisitOptions) => Promise<Visit>
  readonly tokenRequests: (action: () => Promise<unknown>) => Promise<number>
}

function assertions({ attempt, checkWith, get, tokenRequests }: Asked) {
  return {
    /** Asserts that a sign-in fails and makes no session, and returns the answer. */
    expectNoSignIn: async (statuses: readonly number[] = [400, 502]) => {
      const { answer, isSignedIn, browser } = await attempt()
      expect(statuses).toContain(answer.status)
      expect(answer.headers['cache-control']).toBe('no-store')
      expect(answer.location).toBeUndefined()
      expect(isSignedIn).toBe(false)
      expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
      return answer
    },
    /** Asserts that a callback fails with 400 and without a token request. */
    expectNotRedeemed: async (visit: () => Promise<Visit>, hostile: string[] = []) => {
      const count = await tokenRequests(async () => expectFailedSignIn(await visit(), hostile))
      expect(count).toBe(0)
    },
    /** Asserts that a page, a script and `/me` are told that these cookies are no session. */
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
