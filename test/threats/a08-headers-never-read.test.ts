import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { useParty } from '../support/used-party.ts'
import type { Forwarded } from '../support/vestibule.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })
const cookie = prepared(() => party.vestibule.signIn('alice'))

const NEVER_READ = words`
  Forwarded X-Forwarded-Prefix X-Forwarded-Port X-Forwarded-Server X-Forwarded-Scheme
  X-Forwarded-Ssl X-Forwarded-Path X-Forwarded-User X-Original-URL X-Original-URI X-Original-Host
  X-Original-Method X-Original-Forwarded-For X-Rewrite-URL X-Real-Ip X-Host X-Scheme X-Url-Scheme
  X-ProxyUser-Ip X-Client-Ip True-Client-Ip CF-Connecting-IP Front-End-Https Via From Remote-User
  X-Remote-User X-WEBAUTH-USER User-Agent Host
`

const VALUES = [
  ...words`
    /public/a evil.example https://evil.example/public/a
    for=127.0.0.1;host=evil.example;proto=http 127.0.0.1 443 alice
  `,
  '',
]

const situations: readonly (readonly [string, Forwarded, () => VisitHeaders, number])[] = [
  ['a navigation without session', { uri: '/a?b=c' }, () => ({}), 302],
  ['a navigation with session', { uri: '/a?b=c' }, () => ({ Cookie: cookie() }), 200],
  ['a public path', { uri: '/public/a' }, () => ({}), 200],
  ['a script without session', { uri: '/a' }, () => ({ 'Sec-Fetch-Mode': 'cors' }), 401],
  ['a form without session', { uri: '/a', method: 'POST' }, () => ({}), 303],
  ['the sign-in router', { uri: '/oauth2/login' }, () => ({ Cookie: cookie() }), 403],
  ['a foreign host', { host: 'foreign.example' }, () => ({ Cookie: cookie() }), 400],
]

/** Everything that is sent but the time of day and the id of this one request. */
const comparable = ({ status, rawHeaders, body }: Visit) => ({
  status,
  headers: rawHeaders
    .flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []))
    .filter((line) => !line.startsWith('Date: ') && !line.startsWith('date: ')),
  body,
})

describe('A08 headers that are never read', () => {
  test.for(situations)('leave the answer alone: %s', async ([, forwarded, headersOf, status]) => {
    const ask = async (extra: VisitHeaders) => {
      const headers = { 'X-Request-Id': 'the-same-each-time', ...headersOf(), ...extra }
      return comparable(await party.check(forwarded, headers))
    }
    const plain = await ask({})
    expect(plain.status).toBe(status)
    for (const name of NEVER_READ) {
      for (const value of VALUES) {
        if (name === 'Host' && !/^[\w.]+$/.test(value)) continue
        expect(await ask({ [name]: value }), `${name}: ${value}`).toEqual(plain)
      }
    }
    const all = Object.fromEntries(
      NEVER_READ.filter((name) => name !== 'Host').map((name) => [name, '/public/a']),
    )
    expect(await ask(all)).toEqual(plain)
  })

  test('the comparison can tell: a header that is read does change the answer', async () => {
    const read = { uri: '/a', host: 'other.example.com' }
    const plain = comparable(await party.check({ uri: '/a' }))
    expect(comparable(await party.check(read))).not.toEqual(plain)
    expect(comparable(await party.check({ uri: '/a' }, { Cookie: cookie() }))).not.toEqual(plain)
  })
})
