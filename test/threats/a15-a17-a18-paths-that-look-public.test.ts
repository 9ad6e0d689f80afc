import { describe, expect, test } from 'vitest'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { asScript } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const { app, check, signedIn, vestibule } = useProtectedApp({
  PUBLIC_PATHS: '/public/**,/exact,/one/*,/deep/**/end,/foo/bar,/bar,/foo/*,/**/open',
})
const cookie = signedIn('alice')

test.for(words`
  /public /public/ /public/a /public/a/b.css /public?x=1 /public/-admin /exact /exact?x /one/a
  /one/a-b /deep/end /deep/a/b/end
`)('A15: is public: %s', async (uri) => {
  const visit = await check({ uri })
  expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': '' } })
})

test.for(words`
  / /public-admin /publicx /public.html /public. /public~ /public_ /public- /public+ /public@evil
  /public:80 /public, /public&x /public= /publi /pub /Public /PUBLIC/a /a/public /a/public/b
  /xpublic/a /exact/ /exact/a /exactly /exact-admin /one /one/ /one/a/ /one/a/b /onea /deep /deep/
  /deep/a /deep/a/ending /deep/a/end/ /deep/a/end/b /deeper/end /deep/bend /* /**
`)('A15: is protected: %s', async (uri) =>
  expectLogin(await check({ uri }), `https://app.example.com${uri}`),
)

describe('A17 fragments', () => {
  test('the public paths are public', async () => {
    for (const uri of ['/public/a', '/foo/bar', '/bar', '/foo/secret']) {
      expect((await check({ uri })).status).toBe(200)
    }
  })

  test.for(words`
    /secret#/bar /foo/secret#/bar /foo/secret#/../bar /secret#/public/a /public/a# /public/a#x
    /public#/../secret /public/a?x#y /# /#/public/a
  `)('A17: a raw # is refused, with and without a session: %s', async (uri) => {
    expectRefusal(await check({ uri }), 400)
    expectRefusal(await check({ uri }, { Cookie: cookie() }), 400)
  })

  test.for(words`
    /secret%23/bar /foo/secret%23 /foo/secret%23/bar /foo/bar%23 /public/a%23 /public/a%2523
    /public%23/a /public/%23/a /foo/%23
  `)('A17: an encoded # matches no public rule: %s', async (uri) => {
    expectLogin(await check({ uri }), new URL(uri, 'https://app.example.com').href)
    expect((await check({ uri }, { Cookie: cookie() })).status).toBe(200)
  })
})

describeGateways('A17 fragments', app, (send) => {
  test.for(words`
    /secret#/bar /public/a#x /secret%23/bar /foo/bar%23
  `)('A17: open nothing: %s', async (target) => {
    const passage = await send({ target })
    expect([302, 400]).toContain(passage.status)
    expect(passage.app).toBeUndefined()
  })
})

/** Refused, whoever asks: some software takes a segment for `.` or `..`. */
const hidden: readonly string[] = words`
  /public/../admin /public/.. /public/../ /public/./a /public/. /public/a/../b
  /public/%2e%2e/admin /public/%2E%2E/admin /public/.%2e/admin /public/%2e./admin /public/%2e/a
  /public/..%2fadmin /public/..%2Fadmin /public%2f..%2fadmin /public/..%5cadmin /public/..%5Cadmin
  /public/..\\admin /public\\..\\admin /public/%252e%252e/admin /public/%25252e%25252e/admin
  /public/..%252fadmin /public/..%255cadmin /public/..;/admin /public/..;x=y/admin
  /public/;/../admin /public/.;/.. /public/.;/../admin /public;x=/../admin /public/..%3b/admin
  /./public /./public/a /.;/public/a /a/../public/a /public//../../admin /public/..%00/admin
  /one/.. /one/. /one/%2e%2e /one/..%2fadmin /one/..; /public/%ef%bc%8e%ef%bc%8e/admin
  /public/%ef%bc%8e%ef%bc%8e%ef%bc%8fadmin /public/%u002e%u002e/admin /public/%EF%BC%8E/Open
  /public/..%3bx/a /public/..%5Ca /public/a..%5C..%5Cb /public/..%20 /public/%20..%09
  /public/..%20./a /public/..%00 /public/..%3Fx /public/..%23 /public/..%2523 /public/.%09.
  /public/%E2%80%A5 /public/%ef%bc%852e%ef%bc%852e /public/a;/../b /public/.%25252e
  /public/..%2Fadmin/tool.php/..;/..;/..;x /public/../${'a'.repeat(2048)}
`

/** Paths that are not refused for their form but are no longer public. */
const ambiguous: readonly string[] = [
  ...words`
    /public/%2f/admin /public%2fa /public/%2525252525252e%2525252525252e/admin /public/a;b
    /public;/admin /public/%3b/admin /public//a /public// /public///admin /public/a// /public%00
    /public/%00 /public/a%00.css /public/a%0a /public/a%0d%0a /public%0a /public/%09/a /public/%0b
    /public/%1f /public/%7f /public/%23 /public/%3f /public/a%3fb /public/100%25 /public/%252fa
    /one/a%2fb /public/%c0%ae%c0%ae/admin /public/%c0%ae%c0%ae%c0%afadmin /public/... /public/a.
    /public/%41 /public/%80 /public/a%ff /public/%e0%80%af /public/%ed%a0%80 /public/%c0%af
    /public/%f5%80%80%80 /public/a%40b /public/m%C2%B2 /public/cafe%CC%81 /public/a%20 /public/%u0061
    /public%ef%bc%8fa /x/%80/open
  `,
  '/public/a\\b',
]

/** Outside `/public` in each reading; listed by A18 with a public rule for what they almost are. */
const outside = ['/public%20', '/%70ublic/a', '/public%2e', '/publi%63']

describe('A18 dot segments and encodings', () => {
  test.for(words`
    /public /public/ /public/a /public/a.b-c_d~e /public/..a /public/a..b /one/a /public/%C3%A9 /x/open
  `)('A18: the plain twin is public: %s', async (uri) =>
    expect((await check({ uri })).status).toBe(200),
  )

  test.for([...ambiguous, ...outside])('is not public (C5): %s', async (uri) => {
    const page = await check({ uri })
    expect([page.status, page.setCookies]).toEqual([302, []])
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.location).toMatch(
      /^https:\/\/app\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F/,
    )
    expectRefusal(await check({ uri }, asScript), 401)
    expectRefusal(await check({ uri, method: 'DELETE' }), 401)
    const signedIn = await check({ uri }, { Cookie: cookie() })
    expect(signedIn).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  })

  test.for([...hidden, '/public%20/../admin'])('is refused as hidden (C1): %s', async (uri) => {
    for (const method of ['GET', 'DELETE', 'OPTIONS']) {
      expectRefusal(await check({ uri, method }), 400)
      const visit = await check({ uri, method }, { ...asScript, Cookie: cookie() })
      expectRefusal(visit, 400)
      expect(JSON.parse(visit.body)).toMatchObject({ error: 'hidden_dots' })
    }
    const refused = { event: 'refused', code: 'hidden_dots', status: 400 }
    expect(vestibule().log()).toContainEqual(expect.objectContaining(refused))
  })

  test('two slashes at the start are no path at all', async () => {
    for (const uri of ['//public', '//public/a', '///public/a']) {
      expectRefusal(await check({ uri }), 400)
      expectRefusal(await check({ uri }, { Cookie: cookie() }), 400)
    }
  })
})

describeGateways('A18 dot segments and encodings', app, (send) => {
  test('the plain twin passes', async () =>
    expect(await send({ target: '/public/a' })).toMatchObject({
      status: 200,
      app: { url: '/public/a' },
    }))

  test.for([...hidden, ...ambiguous, ...outside].filter((path) => !path.includes('\\')))(
    'nobody reaches the app outside /public without a session: %s',
    async (target) => {
      const passage = await send({ target })
      if (passage.app === undefined) {
        expect([302, 400]).toContain(passage.status)
        return
      }
      // Traefik resolves dots and slashes before it asks, and the app is given what was asked about.
      expect(passage.app.url).toMatch(/^\/(?:public(?:\/[\w.~-]*)*|one\/[\w-]+)$/)
      expect(passage.app.url).not.toContain('..')
    },
  )
})
