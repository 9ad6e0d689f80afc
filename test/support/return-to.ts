import { expect } from 'vitest'
import { APP, startRelyingParty } from './relying-party.ts'
import type { Visit, Visitor } from './visitor.ts'

export interface Landing {
  /** The `Location` that ends the sign-in, byte for byte; nothing when the sign-in did not begin. */
  readonly target: string | undefined
  readonly last: Visit
  /** Every answer on the way, the provider's too. */
  readonly trail: readonly Visit[]
}

export const startReturnToParty = async (settings: Readonly<Record<string, string>> = {}) => {
  const party = await startRelyingParty(settings)
  const known = (await party.attempt()).browser
  for (const { name } of known.cookies.all()) {
    if (name.includes('vestibule')) known.cookies.remove(name)
  }
  const login = (query: string) =>
    party.vestibule.visitor().get(`${APP}/oauth2/login`, { target: `/oauth2/login${query}` })
  const land = async (query: string): Promise<Landing> => {
    const browser = known.copy()
    const first = await browser.get(`${APP}/oauth2/login`, { target: `/oauth2/login${query}` })
    const last = await followSignIn(browser, first)
    const isEnd = last.url.startsWith(`${APP}/oauth2/callback`)
    return { target: isEnd ? last.headers.location : undefined, last, trail: browser.trail }
  }
  return { party, login, land, [Symbol.asyncDispose]: () => party[Symbol.asyncDispose]() }
}

const followSignIn = async (browser: Visitor, first: Visit): Promise<Visit> => {
  let last = first
  for (let hops = 0; last.location && hops < 10; hops += 1) {
    if (last.url.startsWith(`${APP}/oauth2/callback`)) break
    last = await browser.get(last.location)
  }
  return last
}

/** `?rd=`, encoded once, as a link on a page would; lone surrogates as the three bytes that they would be. */
export const rdQuery = (rd: string): string =>
  `?rd=${Array.from(rd)
    .map((character) => encode(character))
    .join('')}`

const encode = (character: string): string => {
  if (character.isWellFormed()) return encodeURIComponent(character)
  const code = character.charCodeAt(0)
  const bytes = [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase()}`).join('')
}

/** Asserts the 400 page of a return address that leads elsewhere: no redirect, no cookie, not a word of it. */
export const expectRefusedReturn = (visit: Visit, hostile: readonly string[] = ['evil']): void => {
  expect(visit.status).toBe(400)
  expect(visit.headers.location).toBeUndefined()
  expect(visit.headers['refresh']).toBeUndefined()
  expect(visit.setCookies).toEqual([])
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.headers['x-content-type-options']).toBe('nosniff')
  expect(visit.headers['content-type']).toMatch(/^text\/html/)
  const answer = `${visit.rawHeaders.join('\n')}\n${visit.body}`.toLowerCase()
  for (const text of hostile) expect(answer).not.toContain(text.toLowerCase())
  expect(visit.body).not.toMatch(/http-equiv/i)
}

/** Asserts that every redirect on the way stayed with the app's hosts and the provider. */
export const expectKnownLocations = (
  trail: readonly Visit[],
  issuer: string,
  origins: readonly string[] = [APP, 'https://other.example.com'],
): void => {
  for (const { headers, url } of trail) {
    const { location } = headers
    if (location === undefined) continue
    expect(location).toMatch(/^(?:https?:\/\/|\/interaction\/)[\x21-\x7e]+$/)
    const { origin, pathname } = new URL(location, url)
    expect([new URL(issuer).origin, ...origins]).toContain(origin)
    expect(pathname).not.toMatch(/^\/\//)
  }
}
