import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BearerParty, bearerRule, startBearerParty } from '../support/bearers.ts'
import { expectRefusal } from '../support/refusal.ts'
import type { VisitHeaders } from '../support/visitor.ts'

let party: BearerParty
let cookie: string

beforeAll(async () => {
  party = await startBearerParty([
    { paths: ['/public/**'], access: 'public' },
    bearerRule('/api/**'),
    { access: 'signed-in' },
  ])
  cookie = await party.vestibule.signIn('alice')
})
afterAll(() => party[Symbol.asyncDispose]())

/** Every way in which a handshake shows once a proxy has taken `Upgrade` away. */
const HANDSHAKES: readonly (readonly [string, VisitHeaders, string])[] = [
  ['the scheme', {}, 'wss'],
  ['its key', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }, 'https'],
  ['its version', { 'Sec-WebSocket-Version': '13' }, 'https'],
  ['fetch metadata', { 'Sec-Fetch-Mode': 'websocket', 'Sec-Fetch-Dest': 'websocket' }, 'https'],
]
const FOREIGN = [
  'https://evil.test',
  'null',
  '',
  'http://app.example.com',
  'https://app.example.com.evil.test',
  'https://evil.app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com@evil.test',
  'https://app.example.com, https://evil.test',
]

const shake = (handshake: VisitHeaders, proto: string, headers: VisitHeaders, uri = '/socket') =>
  party.vestibule.check({ uri, proto }, { ...handshake, ...headers })

describe('A98 hijacked WebSockets', () => {
  test.for(HANDSHAKES)(
    'a handshake with a victim’s cookie from another site is refused, told by %s',
    async ([, handshake, proto]) => {
      for (const origin of FOREIGN) {
        for (const uri of ['/socket', '/public/socket', '/api/socket']) {
          const visit = await shake(handshake, proto, { Cookie: cookie, Origin: origin }, uri)
          expectRefusal(visit, 403, origin.includes('evil') ? ['evil'] : [])
        }
      }
    },
  )

  test.for(HANDSHAKES)(
    'a handshake from an origin of ours passes with the cookie, told by %s',
    async ([, handshake, proto]) => {
      for (const origin of ['https://app.example.com', 'https://other.example.com', undefined]) {
        const visit = await shake(handshake, proto, { Cookie: cookie, Origin: origin })
        expect(visit.status, origin).toBe(200)
        expect(visit.setCookies).toEqual([])
      }
    },
  )

  test.for(HANDSHAKES)(
    'a handshake of nobody is told so and sent nowhere, told by %s',
    async ([, handshake, proto]) => {
      const visit = await shake(handshake, proto, { Origin: 'https://app.example.com' })
      expectRefusal(visit, 401)
      expect(visit.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
    },
  )

  test('a program’s handshake passes with a token, and not with a bad one', async () => {
    const [, handshake, proto] = HANDSHAKES[1] as (typeof HANDSHAKES)[number]
    const token = await party.mint()
    const ask = (authorization: string, headers: VisitHeaders = {}) =>
      shake(handshake, proto, { Authorization: authorization, ...headers }, '/api/socket')
    expect((await ask(`Bearer ${token}`)).status).toBe(200)
    expect((await ask('Bearer x', { Cookie: cookie })).status).toBe(401)
    expect((await ask(`Bearer ${token}`, { Origin: 'https://evil.test' })).status).toBe(403)
  })
})
