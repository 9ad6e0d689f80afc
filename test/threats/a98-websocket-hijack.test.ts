import { beforeAll, describe, expect, test } from 'vitest'
import { bearerRule } from '../support/bearers.ts'
import { expectRefusal } from '../support/refusal.ts'
import { useBearerParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'

const party = useBearerParty([
  { paths: ['/public/**'], access: 'public' },
  bearerRule('/api/**'),
  { access: 'signed-in' },
])

let cookie: string

beforeAll(async () => {
  cookie = await party.vestibule.signIn('alice')
})

/** Every sign of a handshake once a proxy has taken `Upgrade` away. */
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

type Handshake = (typeof HANDSHAKES)[number]

function shake([, handshake, proto]: Handshake, headers: VisitHeaders, uri = '/socket') {
  return party.check({ uri, proto }, { ...handshake, ...headers })
}

describe('A98 hijacked WebSockets', () => {
  test.for(HANDSHAKES)('another site’s handshake is refused, told by %s', async (handshake) => {
    for (const Origin of FOREIGN) {
      for (const uri of ['/socket', '/public/socket', '/api/socket']) {
        const visit = await shake(handshake, { Cookie: cookie, Origin }, uri)
        expectRefusal(visit, 403, Origin.includes('evil') ? ['evil'] : [])
      }
    }
  })

  test.for(HANDSHAKES)('a handshake of ours passes with the cookie: %s', async (handshake) => {
    for (const Origin of ['https://app.example.com', 'https://other.example.com', undefined]) {
      const { status, setCookies } = await shake(handshake, { Cookie: cookie, Origin })
      expect([status, setCookies], Origin).toEqual([200, []])
    }
  })

  test.for(HANDSHAKES)('a handshake without credentials gets 401: %s', async (handshake) => {
    const visit = await shake(handshake, { Origin: 'https://app.example.com' })
    expectRefusal(visit, 401)
    expect(visit.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
  })

  test('a program’s handshake passes with a token, and not with a bad one', async () => {
    const good = `Bearer ${await party.mint()}`
    const ask = async (
      Authorization: string,
      headers: VisitHeaders = {},
    ): Promise<Visit['status']> =>
      (await shake(HANDSHAKES[1] as Handshake, { Authorization, ...headers }, '/api/socket')).status
    expect([await ask(good), await ask('Bearer x', { Cookie: cookie })]).toEqual([200, 401])
    expect(await ask(good, { Origin: 'https://evil.test' })).toBe(403)
  })
})
