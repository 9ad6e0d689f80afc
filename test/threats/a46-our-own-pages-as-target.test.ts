import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { rdQuery, startReturnToParty } from '../support/return-to.ts'
import { words } from '../support/words.ts'

const { sut, vestibule, leads } = returnAddressTables()

const own = words`
  /oauth2 /oauth2/ /oauth2/logout /oauth2/login /oauth2/login?rd=/oauth2/login?rd=/
  /oauth2/login?rd=https%3A%2F%2Fevil.example /oauth2/callback?code=a&state=b /oauth2/signed-out
  /oauth2/me /oauth2/backchannel-logout /oauth2/nothing-here /oauth2/logout#x /oauth2?x
  /OAUTH2/logout /OAuth2/Logout /%6fauth2/logout /%4Fauth2/logout /oauth%32/logout
  /oauth2%2flogout /oauth2%2Flogout /oauth2%5clogout /%256fauth2/logout /oauth2;x=y/logout
  /;x/oauth2/logout /a/../oauth2/logout /./oauth2/logout /a/%2e%2e/oauth2/logout
  /a/%2e%2e%2foauth2/logout /oauth2/../oauth2/logout /a//../../oauth2/logout /ｏauth2/logout
  /oauth２/logout /oauth2%00/logout /oauth2%20/logout /oauth2%3f/logout /oauth2%23/logout
`

describe('A46 our own pages as the target', () => {
  leads(
    'a path of ours becomes the root: %s',
    own.map((path) => [path, `${APP}/`]),
  )

  leads(
    'an address of ours becomes the root of its host: %s',
    ['/oauth2/logout', '/OAUTH2/login?rd=/x', '/a/../oauth2/logout'].flatMap((path) =>
      [APP, 'https://other.example.com'].map((origin) => [origin + path, `${origin}/`] as const),
    ),
  )

  leads(
    'a path of the app is left as it is: %s',
    words`
      /oauth2-client/x /oauth2x /oauth /oauth/2 /a/oauth2/logout /?x=/oauth2/logout
      /#/oauth2/logout /oauth2.html
    `,
  )

  test('a sign-in that was told to sign out leaves its user signed in', async () => {
    const { browser } = await sut().party.attempt()
    const last = await browser.get(`${APP}/oauth2/login?rd=/oauth2/logout`)
    await browser.get((await browser.get(last.location ?? '')).location ?? '')
    const cookie = browser.cookies.header(new URL(APP))
    expect((await vestibule().check({}, { Cookie: cookie })).status).toBe(200)
  })

  test.for(words`
    /oauth2/logout /OAUTH2/login?rd=/x /a/../oauth2/callback /%6fauth2/logout
  `)('a sign-out with our own page as target leads to the root: %s', async (path) => {
    const browser = vestibule().visitor()
    for (const rd of [path, APP + path]) {
      const visit = await browser.post(`${APP}/oauth2/logout${rdQuery(rd)}`)
      expect([visit.status, visit.location]).toEqual([303, `${APP}/`])
    }
  })

  test('the check never asks for a sign-in that leads to our own pages', async () => {
    for (const uri of own.filter((path) => /^[\x21-\x7e]*$/.test(path) && !path.includes('#'))) {
      const visit = await vestibule().check({ uri })
      expect(visit.status, uri).toBe(/\/(?:\.|%2e)/i.test(uri) ? 400 : 403)
      expect(visit.headers.location, uri).toBeUndefined()
    }
  })

  test('another base path moves what is ours', async () => {
    await using moved = await startReturnToParty({ BASE_PATH: '/account' })
    const { check, visitor } = moved.party.vestibule
    const target = `/account/login${rdQuery('/account/logout')}`
    expect((await visitor().get(`${APP}/account/login`, { target })).status).toBe(302)
    expect((await check({ uri: '/oauth2/logout' })).headers.location).toBe(
      `${APP}/account/login?rd=${encodeURIComponent(`${APP}/oauth2/logout`)}`,
    )
    expect((await check({ uri: '/account/logout' })).status).toBe(403)
  })
})
