import { expect } from 'vitest'
import { APP } from './relying-party.ts'
import type { Visit, Visitor } from './visitor.ts'

export const LOGIN = `${APP}/oauth2/login`
export const CALLBACK = `${APP}/oauth2/callback`
export const LOGOUT = `${APP}/oauth2/logout`

export const SESSION_COOKIE = '__Host-vestibule'
export const BINDING_COOKIE = '__Host-vestibule_login'
export const TARGET_COOKIE = '__Host-vestibule_target'

/** The first step: the browser is told to go to the provider, and has not gone yet. */
export const startLogin = (browser: Visitor, rd = '/'): Promise<Visit> =>
  browser.get(`${LOGIN}?${new URLSearchParams({ rd }).toString()}`)

export const sentAlong = (visit: Visit, name: string): string => {
  const value = URL.parse(visit.location ?? '')?.searchParams.get(name)
  if (!value) throw new Error(`no ${name} after ${visit.url} (${visit.status})`)
  return value
}

/** Follows a started login through the provider, up to the callback, which the browser has not followed yet. */
export const returnFromProvider = async (
  browser: Visitor,
  started: Visit,
  sub = 'alice',
): Promise<string> => {
  if (started.location?.startsWith(CALLBACK)) return started.location
  return returnFromProvider(browser, await goOn(browser, started, sub), sub)
}

const goOn = (browser: Visitor, { location, body, url, status }: Visit, sub: string) => {
  if (location) return browser.get(location)
  if (body.includes('name="login"')) return browser.post(url, { login: sub })
  throw new Error(`no way on from ${url} (${status})`)
}

export const untilCallback = async (browser: Visitor, rd = '/', sub = 'alice'): Promise<string> =>
  returnFromProvider(browser, await startLogin(browser, rd), sub)

/** The address with these query parameters set; `undefined` takes one away. */
export const withQuery = (
  url: string,
  changes: Readonly<Record<string, string | undefined>>,
): string => {
  const changed = new URL(url)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) changed.searchParams.delete(name)
    else changed.searchParams.set(name, value)
  }
  return changed.href
}

/** The link of an error page by which its visitor signs in again. */
export function parseLoginLink({ body }: Visit): string {
  const link = /href="([^"]*\/oauth2\/login[^"]*)"/.exec(body)?.[1]
  return (link ?? '').replaceAll('&amp;', '&')
}

export const cookieHeader = (browser: Visitor): string | undefined =>
  browser.cookies.header(new URL(APP))

/** Asserts the page of a sign-in that did not work: a request id, a way on, no cookie, nothing of the input. */
export const expectFailedSignIn = (
  visit: Visit,
  hostile: readonly string[] = [],
  status: 400 | 502 = 400,
): void => {
  expect(visit.status).toBe(status)
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.headers['content-type']).toMatch(/^text\/html/)
  const requestId = String(visit.headers['x-request-id'])
  expect(requestId).toMatch(/^[\w.-]{8,}$/)
  expect(visit.body).toContain(`Request ${requestId}`)
  expect(visit.body).toContain(`href="${LOGIN}?rd=`)
  expect(visit.setCookies).toEqual([])
  expect(visit.location).toBeUndefined()
  const answer = `${visit.rawHeaders.join('\n')}\n${visit.body}`
  for (const text of hostile) expect(answer).not.toContain(text)
}
