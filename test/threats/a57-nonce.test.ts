import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  cookieHeader,
  expectFailedSignIn,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
beforeEach(() => party.provider.reset())
afterAll(() => party[Symbol.asyncDispose]())

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
    const { browser, callbackUrl } = await party.untilCallback()
    party.provider.tamperIdToken({ nonce })
    const visit = await browser.get(callbackUrl)
    expectFailedSignIn(visit, ['hostile', 'nonce'])
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    const checked = await party.vestibule.check({}, { Cookie: cookieHeader(browser) })
    expect(checked.status).toBe(302)
    pagesSeen.add(visit.body.replaceAll(String(visit.headers['x-request-id']), ''))
  })

  test('all wrong nonces look the same to the visitor', () => {
    expect(pagesSeen.size).toBe(1)
  })

  test('the ID token of an earlier login of the same browser is refused', async () => {
    const idTokens: unknown[] = []
    party.provider.set('token', {
      rewrite: (body) => {
        idTokens.push(body['id_token'])
        return body
      },
    })
    const browser = party.vestibule.visitor()
    await browser.get(await untilCallback(browser))
    browser.cookies.remove(SESSION_COOKIE)
    party.provider.set('token', { rewrite: (body) => ({ ...body, id_token: idTokens[0] }) })
    expectFailedSignIn(await browser.get(await untilCallback(browser)))
    expect(idTokens[0]).toBeTypeOf('string')
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
  })

  test('each login of one browser has a nonce of its own, which is in no cookie', async () => {
    const browser = party.vestibule.visitor()
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
    const browser = party.vestibule.visitor()
    const visit = await browser.get(await untilCallback(browser, '/report'))
    expect([visit.status, visit.location]).toEqual([302, `${APP}/report`])
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
