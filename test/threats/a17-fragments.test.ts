import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatewayKinds, type ProtectedApp, startProtectedApp } from '../support/protected-app.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'

let app: ProtectedApp
let cookie: string

beforeAll(async () => {
  app = await startProtectedApp({ PUBLIC_PATHS: '/public/**,/foo/bar,/bar,/foo/*' })
  cookie = await app.party.vestibule.signIn('alice')
})
afterAll(() => app[Symbol.asyncDispose]())

describe('A17 fragments', () => {
  test('the public paths are public', async () => {
    for (const uri of ['/public/a', '/foo/bar', '/bar', '/foo/secret']) {
      expect((await app.party.vestibule.check({ uri })).status).toBe(200)
    }
  })

  test.for([
    '/secret#/bar',
    '/foo/secret#/bar',
    '/foo/secret#/../bar',
    '/secret#/public/a',
    '/public/a#',
    '/public/a#x',
    '/public#/../secret',
    '/public/a?x#y',
    '/#',
    '/#/public/a',
  ])('a raw # is refused, with and without a session: %s', async (uri) => {
    const { vestibule } = app.party
    expectRefusal(await vestibule.check({ uri }), 400)
    expectRefusal(await vestibule.check({ uri }, { Cookie: cookie }), 400)
    expect(vestibule.isAlive()).toBe(true)
  })

  test.for([
    '/secret%23/bar',
    '/foo/secret%23',
    '/foo/secret%23/bar',
    '/foo/bar%23',
    '/public/a%23',
    '/public/a%2523',
    '/public%23/a',
    '/public/%23/a',
    '/foo/%23',
  ])('an encoded # matches no public rule: %s', async (uri) => {
    const { vestibule } = app.party
    const target = new URL(uri, 'https://app.example.com').href
    expectLogin(await vestibule.check({ uri }), target)
    expect((await vestibule.check({ uri }, { Cookie: cookie })).status).toBe(200)
  })
})

describe.for(gatewayKinds)('A17 fragments through %s', (kind) => {
  test.for(['/secret#/bar', '/public/a#x', '/secret%23/bar', '/foo/bar%23'])(
    'open nothing: %s',
    async (target, { skip }) => {
      const passage = await app.send(kind, skip, { target })
      expect([302, 400]).toContain(passage.status)
      expect(passage.app).toBeUndefined()
    },
  )
})
