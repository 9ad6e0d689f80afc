import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  gatewayKinds,
  givenTo,
  type ProtectedApp,
  startProtectedApp,
} from '../support/protected-app.ts'
import { raw } from '../support/visitor.ts'

let app: ProtectedApp
let cookie: string

beforeAll(async () => {
  app = await startProtectedApp({ PUBLIC_PATHS: '/public/**' })
  cookie = await app.party.vestibule.signIn('bob')
})
afterAll(() => app[Symbol.asyncDispose]())

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
    const { vestibule } = app.party
    const lines = [
      'GET /auth HTTP/1.1',
      'Host: a',
      'X-Forwarded-Method: GET',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: app.example.com',
      'X-Forwarded-Uri: /a',
      `Cookie: ${cookie}`,
      'x-auth-request-user: a',
      'X-AUTH-REQUEST-USER: b',
      'Connection: close',
    ]
    const answer = await raw(vestibule.internalPort, `${lines.join('\r\n')}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    for (const [name, value] of HEADERS) {
      const found = answer
        .split('\r\n')
        .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      expect(found.map((line) => line.slice(line.indexOf(':') + 1).trim())).toEqual([value])
    }
    expect(vestibule.isAlive()).toBe(true)
  })
})

const rows = doubles.map((headers) => [headers] as const)

describe.for(gatewayKinds)('A31 doubled identity headers, through %s', (kind) => {
  test.for(rows)('a single value of ours reaches the app: %j', async ([headers], { skip }) => {
    const signedIn = ['Cookie', cookie]
    const passage = await app.send(kind, skip, { target: '/a', headers: [...headers, ...signedIn] })
    expect(passage.status).toBe(200)
    for (const [name, value] of HEADERS) expect(givenTo(passage.app, name)).toEqual([value])
  })

  test.for(rows)('on a public path it is a single empty one: %j', async ([headers], { skip }) => {
    const passage = await app.send(kind, skip, { target: '/public/a', headers })
    expect(passage.status).toBe(200)
    for (const [name] of HEADERS) expect(givenTo(passage.app, name)).toEqual([''])
  })

  test('without a session a doubled header opens nothing', async ({ skip }) => {
    for (const headers of doubles) {
      const passage = await app.send(kind, skip, { target: '/a', headers })
      expect(passage).toMatchObject({ status: 302, app: undefined })
    }
    expect(app.party.vestibule.isAlive()).toBe(true)
  })
})
