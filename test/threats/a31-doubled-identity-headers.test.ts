import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo, startProtectedApp } from '../support/protected-app.ts'
import { checkRaw } from '../support/wire-requests.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('bob'))

const doubles: readonly (readonly string[])[] = [
  ['x-auth-request-user', 'a', 'X-AUTH-REQUEST-USER', 'b'],
  ['X-Auth-Request-User', 'a', 'X-Auth-Request-User', 'b'],
  ['X-Auth-Request-User', 'alice', 'x-Auth-request-User', 'alice'],
  ['X-AUTH-REQUEST-GROUPS', 'admins', 'x-auth-request-groups', 'staff,admins'],
  ['x-auth-request-user', '', 'X-Auth-Request-User', 'alice'],
  ['x-auth-request-user', 'alice, bob', 'x-auth-request-email', 'alice@example.com'],
  Array.from({ length: 50 }, () => ['X-auth-Request-User', 'alice']).flat(),
]

const HEADERS = [
  ['X-Auth-Request-User', 'bob'],
  ['X-Auth-Request-Email', 'bob@example.com'],
  ['X-Auth-Request-Preferred-Username', 'bob'],
  ['X-Auth-Request-Name', 'Bob Baumeister'],
  ['X-Auth-Request-Groups', 'staff'],
] as const

describe('A31 doubled identity headers in every case', () => {
  test('each header is answered once, with our value', async () => {
    const headers = [`Cookie: ${cookie()}`, 'x-auth-request-user: a', 'X-AUTH-REQUEST-USER: b']
    const { status, text } = await checkRaw(vestibule(), { forwarded: { Uri: '/a' }, headers })
    expect(status).toBe(200)
    for (const [name, value] of HEADERS) {
      const found = text
        .split('\r\n')
        .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      expect(found.map((line) => line.slice(line.indexOf(':') + 1).trim())).toEqual([value])
    }
  })
})

const rows = doubles.map((headers) => [headers] as const)

describeGateways('A31 doubled identity headers', app, (send) => {
  test.for(rows)('a single value of ours reaches the app: %j', async ([headers]) => {
    const signedIn = ['Cookie', cookie()]
    const passage = await send({ target: '/a', headers: [...headers, ...signedIn] })
    expect(passage.status).toBe(200)
    for (const [name, value] of HEADERS) expect(givenTo(passage.app, name)).toEqual([value])
  })

  test.for(rows)('on a public path it is a single empty one: %j', async ([headers]) => {
    const passage = await send({ target: '/public/a', headers })
    expect(passage.status).toBe(200)
    for (const [name] of HEADERS) expect(givenTo(passage.app, name)).toEqual([''])
  })

  test('without a session a doubled header opens nothing', async () => {
    for (const headers of doubles) {
      expect(await send({ target: '/a', headers })).toMatchObject({ status: 302, app: undefined })
    }
  })
})
