import { describe, expect, test } from 'vitest'
import { IDENTITY_HEADERS } from '../../src/core/identity-headers.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { trustedHeaders } from '../support/protected-app.ts'
import { expectRefusal, readCounter } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { sendLines } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const { app, check, signedIn, vestibule } = useProtectedApp(
  {
    PUBLIC_PATHS: '/public/**',
    IDENTITY_HEADERS: 'Remote-User=sub,X-Tenant-Id=tenant',
    PASS_ACCESS_TOKEN: 'true',
  },
  { authResponseHeaders: [...authResponseHeaders, 'Remote-User', 'X-Tenant-Id'] },
)
const cookie = signedIn('alice')

const NAMES = [
  ...IDENTITY_HEADERS.map(({ name }) => name),
  'X-Auth-Request-Access-Token',
  'Remote-User',
  'X-Tenant-Id',
  // Not configured here, and read by apps that come from oauth2-proxy.
  'X-Forwarded-User',
  'X-Forwarded-Access-Token',
]

/** Every character that HTTP allows in a name and that some software folds with `-`. */
const SEPARATORS = "_.!~+#$%&'*^`|".split('')
const aliases: readonly string[] = NAMES.flatMap((name) => [
  ...SEPARATORS.map((separator) => name.replaceAll('-', separator)),
  name.replace('-', '_'),
  name.replace(/-(?=[^-]*$)/, '_'),
  name.toLowerCase().replaceAll('-', '_'),
  name.toUpperCase().replaceAll('-', '_'),
])

const script = { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
const FORGED = 'forged-admin'

describe('A29 other spellings of identity headers', () => {
  test.for(aliases)('%s is refused by name and counted', async (name) => {
    const before = await readCounter(vestibule(), 'alias_headers_refused')
    for (const uri of ['/', '/public/a']) {
      for (const Cookie of [undefined, cookie()]) {
        const visit = await check({ uri }, { ...script, Cookie, [name]: FORGED })
        expectRefusal(visit, 400, [FORGED, 'alice'])
        const { error, message } = JSON.parse(visit.body) as Record<string, string>
        expect(error).toBe('alias_header')
        expect(message).toContain(name)
      }
    }
    expect(await readCounter(vestibule(), 'alias_headers_refused')).toBe(before + 4)
  })

  test('an empty value, a second one and the true name beside it change nothing', async () => {
    for (const values of ['', [FORGED, FORGED]]) {
      const headers = { ...script, X_Auth_Request_User: values, Cookie: cookie() }
      expectRefusal(await check({}, headers), 400)
    }
    const beside = { 'X-Auth-Request-User': 'bob', X_Auth_Request_User: FORGED, Cookie: cookie() }
    expectRefusal(await check({}, beside), 400, [FORGED])
  })

  test.for(words`
    X-Auth-Request-User X-AUTH-REQUEST-USER X_Auth_Request_Users My_X_Auth_Request_User
    XAuthRequestUser X__Auth_Request_User X_App_Header
  `)('%s is not an alias and passes', async (name) => {
    const visit = await check({}, { [name]: FORGED, Cookie: cookie() })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
  })

  test.for(['X Auth Request User', 'X(Auth)Request(User)', 'X/Auth/Request/User', 'X\xadAuth', ''])(
    'a name that HTTP does not allow is refused by Node: %j',
    async (name) => {
      const headers = ['Host: a', `${name}: ${FORGED}`]
      const { internalPort } = vestibule()
      const { status, text } = await sendLines(internalPort, 'GET /auth HTTP/1.1', ...headers)
      expect(status).toBe(400)
      expect(text).not.toContain(FORGED)
    },
  )

  test('ALIAS_HEADERS=ignore turns it off, and is logged as a risk', async () => {
    const settings = { ALIAS_HEADERS: 'ignore', PUBLIC_PATHS: '/public/**' }
    await using lenient = await startVestibule(settings)
    const visit = await lenient.check({ uri: '/public/a' }, { X_Auth_Request_User: FORGED })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': '' } })
    expect((await lenient.check({}, { X_Auth_Request_User: FORGED })).status).toBe(302)
    const risk = expect.objectContaining({ event: 'risk', setting: 'ALIAS_HEADERS' }) as unknown
    expect(lenient.log()).toContainEqual(risk)
    expect(JSON.stringify(vestibule().log())).not.toContain('ALIAS_HEADERS')
  })
})

describeGateways('A29 other spellings of identity headers', app, (send) => {
  test.for(['X_Auth_Request_User', 'X.Auth.Request.User', "X'Auth'Request'User", 'Remote_User'])(
    '%s does not reach the app, neither beside the true header nor on a public path',
    async (name) => {
      for (const [target, headers] of [
        ['/a', ['Cookie', cookie()]],
        ['/public/a', []],
        ['/public/a', ['Cookie', cookie()]],
        ['/a', []],
      ] as const) {
        const passage = await send({ target, headers: [...headers, name, FORGED] })
        expect(passage).toMatchObject({ status: 400, app: undefined, location: undefined })
        expect(passage.body).not.toContain(FORGED)
      }
      const twin = await send({ target: '/a', headers: ['Cookie', cookie()] })
      expect(trustedHeaders(twin.app)).toContain('x-auth-request-user: alice')
    },
  )
})
