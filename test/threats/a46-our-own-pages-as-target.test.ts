import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  expectKnownLocations,
  type ReturnToParty,
  rdQuery,
  startReturnToParty,
} from '../support/return-to.ts'

let sut: ReturnToParty

beforeAll(async () => {
  sut = await startReturnToParty()
})
afterAll(() => sut[Symbol.asyncDispose]())

const own = [
  '/oauth2',
  '/oauth2/',
  '/oauth2/logout',
  '/oauth2/login',
  '/oauth2/login?rd=/oauth2/login?rd=/',
  '/oauth2/login?rd=https%3A%2F%2Fevil.example',
  '/oauth2/callback?code=a&state=b',
  '/oauth2/signed-out',
  '/oauth2/me',
  '/oauth2/backchannel-logout',
  '/oauth2/nothing-here',
  '/oauth2/logout#x',
  '/oauth2?x',
  '/OAUTH2/logout',
  '/OAuth2/Logout',
  '/%6fauth2/logout',
  '/%4Fauth2/logout',
  '/oauth%32/logout',
  '/oauth2%2flogout',
  '/oauth2%2Flogout',
  '/oauth2%5clogout',
  '/%256fauth2/logout',
  '/oauth2;x=y/logout',
  '/;x/oauth2/logout',
  '/a/../oauth2/logout',
  '/./oauth2/logout',
  '/a/%2e%2e/oauth2/logout',
  '/a/%2e%2e%2foauth2/logout',
  '/oauth2/../oauth2/logout',
  '/a//../../oauth2/logout',
  '/ｏauth2/logout',
  '/oauth２/logout',
  '/oauth2%00/logout',
  '/oauth2%20/logout',
  '/oauth2%3f/logout',
  '/oauth2%23/logout',
] as const

describe('A46 our own pages as the target', () => {
  test.for(own)('a path of ours becomes the root: %s', async (path, { expect }) => {
    const { target, trail } = await sut.land(rdQuery(path))
    expect(target).toBe(`${APP}/`)
    expectKnownLocations(trail, sut.party.provider.issuer)
  })

  test.for(['/oauth2/logout', '/OAUTH2/login?rd=/x', '/a/../oauth2/logout'])(
    'an address of ours becomes the root of its host: %s',
    async (path, { expect }) => {
      expect((await sut.land(rdQuery(APP + path))).target).toBe(`${APP}/`)
      const other = await sut.land(rdQuery(`https://other.example.com${path}`))
      expect(other.target).toBe('https://other.example.com/')
    },
  )

  test.for([
    '/oauth2-client/x',
    '/oauth2x',
    '/oauth',
    '/oauth/2',
    '/a/oauth2/logout',
    '/?x=/oauth2/logout',
    '/#/oauth2/logout',
    '/oauth2.html',
  ])('a path of the app is left as it is: %s', async (path, { expect }) => {
    expect((await sut.land(rdQuery(path))).target).toBe(APP + path)
  })

  test('a sign-in that was told to sign out leaves its user signed in', async () => {
    const { browser } = await sut.party.attempt()
    const last = await browser.get(`${APP}/oauth2/login?rd=/oauth2/logout`)
    await browser.get((await browser.get(last.location ?? '')).location ?? '')
    const cookie = browser.cookies.header(new URL(APP))
    expect((await sut.party.vestibule.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test.for(['/oauth2/logout', '/OAUTH2/login?rd=/x', '/a/../oauth2/callback', '/%6fauth2/logout'])(
    'nor does a sign-out lead to our own pages: %s',
    async (path, { expect }) => {
      const browser = sut.party.vestibule.visitor()
      for (const rd of [path, APP + path]) {
        const visit = await browser.post(`${APP}/oauth2/logout${rdQuery(rd)}`)
        expect([visit.status, visit.location]).toEqual([303, `${APP}/`])
      }
    },
  )

  test('the check never asks for a sign-in that leads to our own pages', async () => {
    for (const uri of own.filter((path) => /^[\x21-\x7e]*$/.test(path) && !path.includes('#'))) {
      const visit = await sut.party.vestibule.check({ uri })
      expect(visit.status, uri).toBe(/\/(?:\.|%2e)/i.test(uri) ? 400 : 403)
      expect(visit.headers.location, uri).toBeUndefined()
    }
    expect(sut.party.vestibule.isAlive()).toBe(true)
  })

  test('another base path moves what is ours', async () => {
    await using moved = await startReturnToParty({ BASE_PATH: '/account' })
    const { vestibule } = moved.party
    const at = async (rd: string) => {
      const target = `/account/login${rdQuery(rd)}`
      return vestibule.visitor().get(`${APP}/account/login`, { target })
    }
    expect((await at('/account/logout')).status).toBe(302)
    const check = await vestibule.check({ uri: '/oauth2/logout' })
    expect(check.headers.location).toBe(
      `${APP}/account/login?rd=${encodeURIComponent(`${APP}/oauth2/logout`)}`,
    )
    expect((await vestibule.check({ uri: '/account/logout' })).status).toBe(403)
  })
})
