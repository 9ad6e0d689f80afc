import { describe, expect, test } from 'vitest'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const rules = prepared(() => writeRules([{ access: 'public', preflight: 'pass' }]))
const { app, check, signedIn } = useProtectedApp({}, { protectSignIn: true })
const cookie = signedIn('alice')
const open = prepared(() => startVestibule({ VESTIBULE_CONFIG: rules().path }))
const account = prepared(() =>
  startVestibule({ VESTIBULE_CONFIG: rules().path, BASE_PATH: '/my/account' }),
)

const reserved = words`
  /oauth2 /oauth2/ /oauth2?x=1 /oauth2/login /oauth2/callback?code=a&state=b /oauth2/%63allback
  /oauth2//callback /oauth2/nope /%6fauth2/callback /%6F%61%75%74%68%32/callback
  /%256fauth2/callback /%25256fauth2/callback /OAuth2/callback /OAUTH2/CALLBACK /;/oauth2/login
  /;x=y/oauth2/login /%2foauth2/login /%2Foauth2/login /%5coauth2/login /\\oauth2/login
  /oauth2;x/login /oauth2%3bx/login /oauth2%2flogin /oauth2%5clogin /oauth2%3fx /oauth2%23x
  /oauth2%00/login /oauth2%20/login /oauth2%0a/login /oauth2%09/login /%EF%BD%8Fauth2/login
`

const hidden = words`
  /oauth2/callback/..;/admin /a/../oauth2/login /a/%2e%2e/oauth2/login /a/..%2foauth2/login
  /a%2f..%2foauth2%2flogin /a/..%5coauth2/login /a/..\\oauth2\\login /a/..;/oauth2/login
  /a/..;x=y/oauth2/login /./oauth2/login /.;/oauth2/login /oauth2/login/../../admin
  /oauth2/%2e%2e/admin /oauth2/..%2fadmin /my/x/../account
`

const methods = ['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE']

describe('A13 our own paths in X-Forwarded-Uri', () => {
  test.for(reserved)('never pass and never redirect: %s', async (uri) => {
    for (const method of methods) {
      expectRefusal(await open().check({ uri, method }), 403)
      expectRefusal(await check({ uri, method }), 403)
      expectRefusal(await check({ uri, method }, { Cookie: cookie() }), 403, ['alice'])
    }
    const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
    const visit = await open().check({ uri }, script)
    expectRefusal(visit, 403)
    expect(JSON.parse(visit.body)).toMatchObject({ error: 'sign_in_router' })
  })

  test.for(hidden)('a reserved path with a hidden dot segment is refused: %s', async (uri) => {
    for (const method of methods) {
      expectRefusal(await open().check({ uri, method }), 400)
      expectRefusal(await account().check({ uri, method }, { Cookie: cookie() }), 400)
    }
  })

  test('not for a preflight either', async () => {
    const headers = { Origin: 'https://app.example.com', 'Access-Control-Request-Method': 'GET' }
    const preflight = { method: 'OPTIONS', uri: '/a' }
    expect((await open().check(preflight, headers)).status).toBe(200)
    expectRefusal(await open().check({ ...preflight, uri: '/oauth2/me' }, headers), 403)
  })

  test.for(words`
    /oauth /oauth22 /oauth2x/login /oauth2-admin /a/oauth2/login /a?x=/oauth2/login
    /a?/../oauth2/login /oauth/2/login
  `)('a neighbour is an ordinary path: %s', async (uri) => {
    expect((await open().check({ uri })).status).toBe(200)
    expect((await check({ uri }, { Cookie: cookie() })).status).toBe(200)
  })

  test.for(words`
    /my/account /my/account/me /MY//account/me /my%2faccount/me
  `)('another BASE_PATH is kept as well: %s', async (uri) => {
    expectRefusal(await account().check({ uri }), 403)
    expect((await account().check({ uri: '/oauth2/login' })).status).toBe(200)
    expect((await account().check({ uri: '/my' })).status).toBe(200)
  })
})

describeGateways('A13 the middleware on the sign-in router', app, (send) => {
  test.for(words`
    /oauth2/login?rd=/ /oauth2/me /oauth2/callback /oauth2/nope
  `)('is told, and leads into no loop: %s', async (target) => {
    for (const headers of [[], ['Cookie', cookie()]]) {
      const passage = await send({ target, headers })
      expect(passage).toMatchObject({ status: 403, location: undefined, app: undefined })
      expect(passage.body).toContain('the middleware is attached to the sign-in router')
    }
  })
})
