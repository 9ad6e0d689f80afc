import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })
const cookie = prepared(() => party.vestibule.signIn('alice'))

const refused = words`
  http ws HTTPS Https WSS javascript https,http https,\x20https http,https https: https://
  https\x20, "https" ftp file h2 httpsx xhttps on 1 __proto__
`

describe('A06 X-Forwarded-Proto spoofing', () => {
  test('https is the scheme of an https host', async () => {
    expectLogin(await party.check({ proto: 'https' }), `${APP}/`)
    expect((await party.check({ proto: 'https' }, { Cookie: cookie() })).status).toBe(200)
  })

  test.for(refused)('%s is not, with and without a session, on public paths too', async (proto) => {
    const requests = [
      await party.check({ proto }),
      await party.check({ proto }, { Cookie: cookie() }),
      await party.check({ proto, uri: '/public/a' }),
    ]
    for (const visit of requests) expectRefusal(visit, 400, ['javascript', 'ftp'])
  })

  test.for([
    ['empty', ''],
    ['missing', undefined],
  ] as const)('%s is not taken from the connection', async ([, proto]) => {
    const headers = { 'X-Forwarded-Proto': proto, Cookie: cookie() }
    expectRefusal(await party.check({}, headers), 400)
  })

  test('wss counts as https and is a WebSocket: 200 with a session, 401 without', async () => {
    const headers = { Origin: APP, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }
    const open = await party.check({ proto: 'wss' }, { ...headers, Cookie: cookie() })
    expect(open).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
    const closed = await party.check({ proto: 'wss' }, headers)
    expectRefusal(closed, 401)
    expect(JSON.parse(closed.body)).toEqual({
      error: 'login_required',
      login_url: `${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`,
    })
  })

  test('the scheme of a redirect comes from configuration', async () => {
    await using plain = await startVestibule({
      PROTECTED_HOSTS: 'http://app.localhost:8080,https://app.example.com',
    })
    const host = 'app.localhost:8080'
    expectLogin(await plain.check({ host, proto: 'http' }), `http://${host}/`)
    expectRefusal(await plain.check({ host, proto: 'ws' }), 401)
    expectRefusal(await plain.check({ host, proto: 'https' }), 400)
    expectRefusal(await plain.check({ host, proto: 'wss' }), 400)
    expectRefusal(await plain.check({ proto: 'http' }), 400)
    const spoofed = { 'X-Forwarded-Scheme': 'http', 'X-Scheme': 'http', 'X-Forwarded-Ssl': 'off' }
    expectLogin(await plain.check({}, spoofed), `${APP}/`, ['http://'])
  })

  test('an http host is served no cookie of an https host', async () => {
    await using plain = await startVestibule({
      PROTECTED_HOSTS: 'http://app.localhost:8080,https://app.example.com',
      OIDC_ISSUER_URL: party.provider.issuer,
    })
    const visit = await plain.check(
      { host: 'app.localhost:8080', proto: 'http' },
      { Cookie: cookie().replaceAll('__Host-', '') },
    )
    expectLogin(visit, 'http://app.localhost:8080/')
  })
})
