import { expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { rows, words } from '../support/words.ts'

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
  ...rows`
    hostile_error <script>hostile()</script> hostile"\x20onload="x hostile\r\nX-Hostile:\x201
  `(''),
  ['hostile'.repeat(1000), ''],
  ['__proto__', 'hostile'],
  ['', 'hostile'],
]

interface Line {
  readonly reason: string
  readonly oauth_error_description?: string
}

function queryOf(error: string, description: string, state?: string): string {
  return new URLSearchParams({
    error,
    error_description: description,
    error_uri: 'https://hostile.example/',
    ...(state !== undefined && { state }),
  }).toString()
}

test.for(errors)('with a good state the page has fixed text: %s %s', async ([error, text]) => {
  const browser = party.visitor()
  const state = steps.sentAlong(await steps.startLogin(browser, '/report'), 'state')
  const logged = party.vestibule.output().length
  const visit = await browser.get(`${steps.CALLBACK}?${queryOf(error, text, state)}`)
  steps.expectFailedSignIn(visit, ['hostile', 'Hostile'])
  const again = new URLSearchParams({ rd: `${APP}/report` }).toString()
  expect(steps.parseLoginLink(visit)).toBe(`${steps.LOGIN}?${again}`)
  const lines = party.vestibule.output().slice(logged).trim().split('\n')
  expect(lines).toHaveLength(1)
  expect(lines[0]?.length).toBeLessThan(600)
  expect(lines[0]).not.toMatch(/[<>\x00-\x1f\x7f-\x9f\u202e]/)
  const { reason, oauth_error_description: said = '' } = JSON.parse(String(lines[0])) as Line
  if (text) expect(reason).not.toContain('hostile')
  expect(said.length).toBeLessThanOrEqual(201)
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
  const state = steps.sentAlong(await steps.startLogin(browser), 'state')
  const visit = await browser.get(`${steps.CALLBACK}?${queryOf(error, 'hostile', state)}`)
  expect(visit).toMatchObject({ status: 503, setCookies: [], headers: { 'retry-after': '5' } })
  for (const said of ['hostile', error]) expect(visit.body).not.toContain(said)
  expect(visit.body).toContain('This is not your fault')
})

test('an error beside a code wins: nothing is redeemed', async () => {
  const { browser, callbackUrl } = await party.untilCallback()
  await party.expectNotRedeemed(() => browser.get(`${callbackUrl}&error=access_denied`))
})

test('a user who declines at the provider gets the page, and can sign in from there', async () => {
  const browser = party.visitor()
  const url = await steps.untilCallback(browser, '/report', 'nobody')
  expect(new URL(url).searchParams.get('error')).toBe('access_denied')
  const page = await browser.get(url)
  steps.expectFailedSignIn(page, ['declined', 'access_denied'])
  expect(browser.cookies.find(steps.BINDING_COOKIE)).toBeDefined()
  const finished = await browser.signIn(steps.parseLoginLink(page), 'alice')
  expect([finished.url, await party.userOf(browser)]).toEqual([`${APP}/report`, 'alice'])
})
