import { randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { asScript, useParty, usePartyOf } from '../support/used-party.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })

const query = (bytes: number) => `/a?q=${'b'.repeat(bytes - 5)}`
const KEPT = 3000 - APP.length

/** Signs in from a page at this address, and returns the address at which the sign-in ends. */
async function landFrom(uri: string, { vestibule } = party): Promise<string | undefined> {
  const browser = vestibule.visitor()
  const asked = await vestibule.check({ uri })
  const callback = await steps.returnFromProvider(browser, await browser.get(asked.location ?? ''))
  const last = await browser.get(callback)
  expect(browser.trail.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
  expect(browser.cookies.find(steps.TARGET_COOKIE)).toBeUndefined()
  return last.headers.location
}

describe('C43: an address that is long', () => {
  test.for<[string, string, string]>([
    ['2,500 characters of query', query(2500), query(2500)],
    ['2,500 characters of path', `/${'a'.repeat(2499)}`, `/${'a'.repeat(2499)}`],
    ['3,000 characters with its host', query(KEPT), query(KEPT)],
    ['3,001 characters with its host', query(KEPT + 1), '/a'],
    ['16 KiB of query', query(16 * 1024), '/a'],
    ['16 KiB of bytes beyond ASCII', `/a?${'\xe9'.repeat(16 * 1024 - 3)}`, '/a'],
    ['16 KiB of escapes', `/a?${'%C3%A9'.repeat(2730)}`, '/a'],
    ['16 KiB of quotes', `/a?${'"'.repeat(16 * 1024 - 3)}`, '/a'],
    ['16 KiB of path', `/${'a'.repeat(16 * 1024 - 1)}`, '/'],
  ])('is where the sign-in ends, or its path, or the root: %s', async ([, uri, target]) =>
    expect(await landFrom(uri)).toBe(APP + target),
  )

  test('passes up to 16 KiB, and is refused beyond with the bound', async () => {
    const longest = `/public/${'a'.repeat(16 * 1024 - 8)}`
    expect((await party.check({ uri: longest })).status).toBe(200)
    const answer = await party.check({ uri: `${longest}a` }, asScript)
    expectRefusal(answer, 400)
    expect(answer.body).toContain('longer than 16384 bytes')
  })

  test('is asked for again by a script or a form in a header that clients take', async () => {
    const Referer = APP + query(16 * 1024)
    const form = { Referer, 'Content-Type': 'application/x-www-form-urlencoded' }
    expectLogin(await party.check({ method: 'POST' }, form), `${APP}/a`, [], 303)
    const script = await party.check({ uri: query(16 * 1024) }, { ...asScript, Referer })
    expect((JSON.parse(script.body) as { login_url: string }).login_url).toMatch(/%2Fa$/)
  })
})

describe('C43: the longest cookie name', () => {
  const named = usePartyOf(() => startRelyingParty({ COOKIE_NAME: 'n'.repeat(40) }))

  test('leaves room for the longest targets, whatever they are made of', async () => {
    const printable = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at))
    const random = (letters: readonly string[]) =>
      Array.from({ length: KEPT - 3 }, () => letters[randomInt(letters.length)]).join('')
    const asWritten = printable.filter((each) => !'"#%\'<>?\\'.includes(each))
    const plain = printable.filter((each) => /\w/.test(each))
    for (const uri of [`/a?${random(asWritten)}`, `/ab${random(plain)}`, query(KEPT)]) {
      expect(await landFrom(uri, named)).toBe(APP + uri)
    }
  })
})
