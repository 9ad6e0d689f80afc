import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  cookieHeader,
  expectFailedSignIn,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()
const pagesSeen = new Set<string>()

describe('A57 nonce missing, wrong or replayed', () => {
  test.for<[string, unknown]>([
    ['missing', undefined],
    ['another', 'hostile'],
    ['empty', ''],
    ['of the right length', 'A'.repeat(43)],
    ['in an array', ['hostile']],
    ['a number', 0],
    ['null', null],
    ['true', true],
    ['an object', { toString: 'hostile' }],
  ])('an ID token with a wrong nonce is refused: %s', async ([, nonce]) => {
    party.provider.tamperIdToken({ nonce })
    const answer = await party.expectNoSignIn([400])
    expectFailedSignIn(answer, ['hostile', 'nonce'])
    pagesSeen.add(answer.body.replaceAll(String(answer.headers['x-request-id']), ''))
  })

  test('all wrong nonces look the same to the visitor', () => expect(pagesSeen.size).toBe(1))

  test('the ID token of an earlier login of the same browser is refused', async () => {
    const answers = party.recordTokens()
    const browser = party.visitor()
    await browser.get(await untilCallback(browser))
    browser.cookies.remove(SESSION_COOKIE)
    const earlier = answers[0]?.['id_token']
    party.replaceIdToken(() => earlier)
    expectFailedSignIn(await browser.get(await untilCallback(browser)))
    expect(earlier).toBeTypeOf('string')
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
  })

  test('each login of one browser has a nonce of its own, which is in no cookie', async () => {
    const browser = party.visitor()
    const nonces = new Set<string>()
    for (let login = 1; login <= 20; login += 1) {
      nonces.add(sentAlong(await startLogin(browser), 'nonce'))
    }
    expect(nonces.size).toBe(20)
    for (const nonce of nonces) {
      expect(nonce).toMatch(/^[\w-]{43}$/)
      expect(cookieHeader(browser)).not.toContain(nonce)
    }
  })

  test('the legitimate twin is signed in', async () => {
    const browser = party.visitor()
    const visit = await browser.get(await untilCallback(browser, '/report'))
    expect(visit).toMatchObject({ status: 302, location: `${APP}/report` })
  })
})
