import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectRefusal } from '../support/refusal.ts'
import { raw } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const app = prepared(() => startProtectedApp({ PUBLIC_PATHS: '/public/**' }))
const vestibule = () => app().party.vestibule
const cookie = prepared(() => vestibule().signIn('alice'))

const NAMES = ['X-Forwarded-Method', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Uri']
const subsets = Array.from({ length: 2 ** NAMES.length - 1 }, (_, mask) =>
  NAMES.filter((_name, index) => ((mask + 1) & (1 << index)) !== 0),
)

describe('A10 forwarded headers that are taken away', () => {
  test('the check is complete with all four, and X-Forwarded-For may be missing', async () => {
    const headers = { Cookie: cookie(), 'X-Forwarded-For': undefined }
    expect((await vestibule().check({}, headers)).status).toBe(200)
  })

  test.for(subsets.map((names) => [names] as const))('nothing replaces %j', async ([names]) => {
    const removed = Object.fromEntries(names.map((name) => [name, undefined]))
    const standIns = { Host: 'app.example.com', 'X-Original-Url': '/public/a' }
    for (const extra of [{}, standIns, { ...standIns, Cookie: cookie() }]) {
      expectRefusal(await vestibule().check({ uri: '/public/a' }, { ...extra, ...removed }), 400)
    }
    expectRefusal(await vestibule().check({}, { ...removed, 'X-Requested-With': 'a' }), 400)
  })

  test('our own request line and Host are no forwarded request', async () => {
    const { internalPort } = vestibule()
    for (const target of ['/auth', '/auth?', 'http://app.example.com/auth', '/auth?/public/a']) {
      const text = `GET ${target} HTTP/1.1\r\nHost: app().example.com\r\nCookie: ${cookie()}\r\nConnection: close\r\n\r\n`
      expect(await raw(internalPort, text)).toMatch(/^HTTP\/1\.1 400 /)
    }
  })

  test('the Connection header of the check itself takes nothing away', async () => {
    const headers = { Connection: 'close, X-Forwarded-Host, X-Forwarded-Uri', Cookie: cookie() }
    expect((await vestibule().check({}, headers)).status).toBe(200)
  })
})

describeGateways('A10 headers named in Connection', app, (send) => {
  test.for(words`
    X-Forwarded-Host,\x20X-Forwarded-Uri
    x-forwarded-host,\x20x-forwarded-uri,\x20x-forwarded-proto,\x20x-forwarded-method
    close,\x20X-FORWARDED-PROTO X-Forwarded-For,\x20X-Real-Ip
    X-Auth-Request-User,\x20X-Auth-Request-Groups
  `)('the decision stays: %s', async (connection) => {
    const headers = ['Connection', connection]
    const anonymous = await send({ target: '/admin', headers })
    expect(anonymous).toMatchObject({ status: 302, app: undefined })
    expect(anonymous.location).toContain('rd=https%3A%2F%2Fapp.example.com%2Fadmin')
    const signedIn = await send({
      target: '/admin',
      headers: ['Cookie', cookie(), ...headers],
    })
    expect(signedIn).toMatchObject({ status: 200, app: { url: '/admin' } })
    expect(signedIn.app?.headers).toContainEqual(['X-Auth-Request-User', 'alice'])
  })

  test('a cookie that is named there is gone, so nobody is signed in', async () => {
    const headers = ['Connection', 'Cookie', 'Cookie', cookie()]
    expect(await send({ target: '/admin', headers })).toMatchObject({
      status: 302,
      app: undefined,
    })
  })
})
