import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  CALLBACK,
  expectFailedSignIn,
  LOGIN,
  parseLoginLink,
  returnFromProvider,
  sentAlong,
  startLogin,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const party = useParty()
const errors: readonly (readonly [error: string, description: string])[] = [
  ['access_denied', '<script>hostile()</script>'],
  ['access_denied', '"><img src=x onerror=hostile()>'],
  ['access_denied', '&lt;b&gt;hostile&#60;'],
  ['access_denied', "javascript:'hostile'"],
  ['access_denied', 'line\r\nSet-Cookie: hostile=1\r\n\r\n<p>'],
  ['access_denied', '\u202ehostile\u0000\u001b[31m'],
  ['access_denied', 'hostile '.repeat(3000)],
  ['login_required', 'hostile'],
  ['hostile_error', ''],
  ['<script>hostile()</script>', ''],
  ['hostile" onload="x', ''],
  ['hostile\r\nX-Hostile: 1', ''],
  ['hostile'.repeat(1000), ''],
  ['__proto__', 'hostile'],
  ['', 'hostile'],
]

function queryOf(error: string, description: string, state?: string): string {
  return new URLSearchParams({
    error,
    error_description: description,
    error_uri: 'https://hostile.example/',
    ...(state !== undefined && { state }),
  }).toString()
}

describe('A59 error and error_description reflection', () => {
  test.for(errors)('with a good state the page has fixed text: %s %s', async ([error, text]) => {
    const browser = party.visitor()
    const state = sentAlong(await startLogin(browser, '/report'), 'state')
    const logged = party.vestibule.output().length
    const visit = await browser.get(`${CALLBACK}?${queryOf(error, text, state)}`)
    expectFailedSignIn(visit, ['hostile', 'Hostile'])
    const again = new URLSearchParams({ rd: `${APP}/report` }).toString()
    expect(parseLoginLink(visit)).toBe(`${LOGIN}?${again}`)
    const lines = party.vestibule.output().slice(logged).trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(lines[0]?.length).toBeLessThan(600)
    expect(lines[0]).not.toMatch(/[<>\x00-\x1f\x7f-\x9f\u202e]/)
    if (text) expect(lines[0]).not.toContain('hostile')
    expect(party.provider.count('token')).toBe(0)
  })

  test.for(errors)('without a state the answer is the same page: %s %s', async ([error, text]) => {
    for (const state of [undefined, 'hostile']) {
      const open = () => party.get(`/oauth2/callback?${queryOf(error, text, state)}`)
      await party.expectNotRedeemed(open, ['hostile', 'Hostile'])
    }
  })

  test.for(words`
    server_error temporarily_unavailable
  `)('a fault of the provider is named as one, without its words: %s', async (error) => {
    const browser = party.visitor()
    const state = sentAlong(await startLogin(browser), 'state')
    const visit = await browser.get(`${CALLBACK}?${queryOf(error, 'hostile', state)}`)
    expectFailedSignIn(visit, ['hostile', error], 502)
    expect(visit.body).toContain('This is not your fault')
  })

  test('an error beside a code wins: nothing is redeemed', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    await party.expectNotRedeemed(() => browser.get(`${callbackUrl}&error=access_denied`))
  })

  test('100 KB of description are refused before they are read', async () => {
    const target = `/oauth2/callback?error=access_denied&error_description=${'hostile'.repeat(15_000)}`
    const line = `GET ${target} HTTP/1.1`
    const { text } = await sendLines(party.vestibule.publicPort, line, 'Host: app.example.com')
    expect(text).toMatch(/^HTTP\/1\.1 431 /)
    expect(text).not.toContain('hostile')
  })

  test('a user who declines at the provider gets the page, and can sign in from there', async () => {
    const browser = party.visitor()
    const url = await returnFromProvider(browser, await startLogin(browser, '/report'), 'nobody')
    expect(new URL(url).searchParams.get('error')).toBe('access_denied')
    const page = await browser.get(url)
    expectFailedSignIn(page, ['declined', 'access_denied'])
    expect(browser.cookies.find(BINDING_COOKIE)).toBeDefined()
    const finished = await browser.signIn(parseLoginLink(page), 'alice')
    expect([finished.url, await party.userOf(browser)]).toEqual([`${APP}/report`, 'alice'])
  })
})
