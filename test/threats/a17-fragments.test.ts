import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { words } from '../support/words.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**,/foo/bar,/bar,/foo/*' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

describe('A17 fragments', () => {
  test('the public paths are public', async () => {
    for (const uri of ['/public/a', '/foo/bar', '/bar', '/foo/secret']) {
      expect((await vestibule().check({ uri })).status).toBe(200)
    }
  })

  test.for(words`
    /secret#/bar /foo/secret#/bar /foo/secret#/../bar /secret#/public/a /public/a# /public/a#x
    /public#/../secret /public/a?x#y /# /#/public/a
  `)('a raw # is refused, with and without a session: %s', async (uri) => {
    expectRefusal(await vestibule().check({ uri }), 400)
    expectRefusal(await vestibule().check({ uri }, { Cookie: cookie() }), 400)
  })

  test.for(words`
    /secret%23/bar /foo/secret%23 /foo/secret%23/bar /foo/bar%23 /public/a%23 /public/a%2523
    /public%23/a /public/%23/a /foo/%23
  `)('an encoded # matches no public rule: %s', async (uri) => {
    const target = new URL(uri, 'https://app.example.com').href
    expectLogin(await vestibule().check({ uri }), target)
    expect((await vestibule().check({ uri }, { Cookie: cookie() })).status).toBe(200)
  })
})

describeGateways('A17 fragments', app, (send) => {
  test.for(words`
    /secret#/bar /public/a#x /secret%23/bar /foo/bar%23
  `)('open nothing: %s', async (target) => {
    const passage = await send({ target })
    expect([302, 400]).toContain(passage.status)
    expect(passage.app).toBeUndefined()
  })
})
