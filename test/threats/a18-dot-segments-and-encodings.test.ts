import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { words } from '../support/words.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**,/one/*' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

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
  /public/%ef%bc%8e%ef%bc%8e%ef%bc%8fadmin /public/%u002e%u002e/admin
`

/** Paths that are not refused for their form but are no longer public. */
const ambiguous: readonly string[] = [
  ...words`
    /public/%2f/admin /public%2fa /public/%2525252525252e%2525252525252e/admin /public/a;b
    /public;/admin /public/%3b/admin /public//a /public// /public///admin /public/a// /public%00
    /public/%00 /public/a%00.css /public/a%0a /public/a%0d%0a /public%0a /public/%09/a /public/%0b
    /public/%1f /public/%7f /public/%23 /public/%3f /public/a%3fb /public/100%25 /public/%252fa
    /one/a%2fb /public/%c0%ae%c0%ae/admin /public/%c0%ae%c0%ae%c0%afadmin /public/... /public/a.
    /public/%41
  `,
  '/public/a\\b',
]

/** Outside `/public` in each reading; listed by A18 with a public rule for what they almost are. */
const outside = ['/public%20', '/%70ublic/a', '/public%2e', '/publi%63']

describe('A18 dot segments and encodings', () => {
  test.for(words`
    /public /public/ /public/a /public/a.b-c_d~e /public/..a /public/a..b /one/a /public/%C3%A9
  `)('the plain twin is public: %s', async (uri) => {
    expect((await vestibule().check({ uri })).status).toBe(200)
  })

  test.for([...ambiguous, ...outside])('is not public: %s', async (uri) => {
    const page = await vestibule().check({ uri })
    expect([page.status, page.setCookies]).toEqual([302, []])
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.location).toMatch(
      /^https:\/\/app()\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F/,
    )
    const script = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
    expectRefusal(await vestibule().check({ uri }, script), 401)
    expectRefusal(await vestibule().check({ uri, method: 'DELETE' }), 401)
    const signedIn = await vestibule().check({ uri }, { Cookie: cookie() })
    expect(signedIn).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  })

  test.for([...hidden, '/public%20/../admin'])('is refused: %s', async (uri) => {
    for (const method of ['GET', 'DELETE']) {
      expectRefusal(await vestibule().check({ uri, method }), 400)
      expectRefusal(await vestibule().check({ uri, method }, { Cookie: cookie() }), 400)
    }
  })

  test('two slashes at the start are no path at all', async () => {
    for (const uri of ['//public', '//public/a', '///public/a']) {
      expectRefusal(await vestibule().check({ uri }), 400)
      expectRefusal(await vestibule().check({ uri }, { Cookie: cookie() }), 400)
    }
  })
})

describeGateways('A18 dot segments and encodings', app, (send) => {
  test('the plain twin passes', async () => {
    expect(await send({ target: '/public/a' })).toMatchObject({
      status: 200,
      app: { url: '/public/a' },
    })
  })

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
