import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../support/redis-state.ts'
import { expectLogin } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  type ReturnToParty,
  rdQuery,
  startReturnToParty,
} from '../support/return-to.ts'

let sut: ReturnToParty

beforeAll(async () => {
  sut = await startReturnToParty()
})
afterAll(() => sut[Symbol.asyncDispose]())

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const hostile = [
  '//evil.example',
  '///evil.example',
  '////evil.example',
  '//evil.example/%2f..',
  '/\\evil.example',
  '\\\\evil.example',
  '\\/evil.example',
  '\\evil.example',
  '//\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/\r/evil.example',
  '/\r\n/evil.example',
  '/\0/evil.example',
  '/ /evil.example',
  '\t//evil.example',
  ' //evil.example',
  '\n//evil.example',
  '\u00a0//evil.example',
  '\ufeff//evil.example',
  '\u2028//evil.example',
  '//evil.example ',
  'https:\\evil.example',
  'https:\\\\evil.example',
  'https:evil.example',
  'https:/evil.example',
  'https:///evil.example',
  'http:evil.example',
  'http:/evil.example',
  'http://evil.example',
  'https://evil.example',
  'ht\ttps://evil.example',
  'https:\n//evil.example',
  'https://\tevil.example',
  'https:/\\evil.example',
  'https:\\/evil.example',
  '//app.example.com',
  '\\\\app.example.com',
  'https:app.example.com',
  'https:/app.example.com',
  'https:///app.example.com',
  'evil.example',
  'evil.example//',
  './/evil.example',
  '?//evil.example',
  '#//evil.example',
  ' ',
]

describe('A40 scheme-relative addresses and slash tricks', () => {
  test.for(hostile)('is refused with a page: %j', async (rd) => {
    expectRefusedReturn(await sut.login(rdQuery(rd)))
    expect(sut.party.vestibule.isAlive()).toBe(true)
  })

  test.for([
    '?rd=/%09/evil.example',
    '?rd=%09//evil.example',
    '?rd=%2f%2fevil.example',
    '?rd=%2F%5Cevil.example',
    '?rd=%5c%5cevil.example',
    '?rd=/%5cevil.example',
    '?rd=/+/evil.example',
    '?rd=+//evil.example',
    '?rd=//evil.example',
    '?rd=/\\evil.example',
    '?rd=/%00/evil.example',
    '?rd=%E2%80%A8//evil.example',
    '?rd=//evil.example#x',
    '?x=1&rd=//evil.example&y=/',
    '?%72d=//evil.example',
    '?r%64=//evil.example',
  ])('is refused however the query is written: %s', async (query, { expect }) => {
    const visit = await sut.login(query)
    expectRefusedReturn(visit)
    expect(visit.body).toContain('This request cannot be answered')
  })

  test.for([
    ['/', `${APP}/`],
    ['/a', `${APP}/a`],
    ['/a/b?c=d&e=%2F%2Fevil.example#f', `${APP}/a/b?c=d&e=%2F%2Fevil.example#f`],
    ['/a//b', `${APP}/a//b`],
    ['/?next=//evil.example', `${APP}/?next=//evil.example`],
    ['/#//evil.example', `${APP}/#//evil.example`],
    ['/%09/evil.example', `${APP}/%09/evil.example`],
    ['/é', `${APP}/%C3%A9`],
    [`${APP}/a?b`, `${APP}/a?b`],
    [APP, `${APP}/`],
    ['https://other.example.com/x', 'https://other.example.com/x'],
    ['https://APP.example.com/x', `${APP}/x`],
  ] as const)('a path or address of ours is where the sign-in ends: %s', async ([rd, target]) => {
    const landing = await sut.land(rdQuery(rd))
    expect(landing.target).toBe(target)
    expectKnownLocations(landing.trail, sut.party.provider.issuer)
  })

  test.for(['', '?rd=', '?rd', '?', '?x=//evil.example'])(
    'without an address the sign-in ends at the root: %s',
    async (query, { expect }) => {
      expect((await sut.land(query)).target).toBe(`${APP}/`)
    },
  )

  test.for([
    ['2049 characters', `/${'a'.repeat(2048)}`],
    ['20 000 characters', `/${'a'.repeat(20_000)}`],
    ['2049 characters with a host', `${APP}/${'a'.repeat(2049 - APP.length - 1)}`],
  ] as const)('a long address is refused: %s', async ([, rd]) => {
    expectRefusedReturn(await sut.login(rdQuery(rd)))
  })

  test.for([
    ['2048 characters with a host', `${APP}/${'a'.repeat(2047 - APP.length)}`],
    ['2000 characters of path', `/${'a'.repeat(1999)}`],
    ['2048 characters of path', `/${'a'.repeat(2047)}`],
    ['200 letters that take six characters each', `/${'é'.repeat(200)}`],
    ['1000 letters that take six characters each', `/${'é'.repeat(1000)}`],
    ['2000 letters that take nine characters each', `/${'。'.repeat(2000)}`],
  ] as const)('an address is refused at once or kept to the end: %s', async ([, rd]) => {
    const { target, trail, last } = await sut.land(rdQuery(rd))
    expect(trail.flatMap(({ refusedCookies }) => refusedCookies)).toEqual([])
    if (target === undefined) return expectRefusedReturn(last)
    expect(target).toBe(new URL(rd, APP).href)
  })

  test.for([
    ['1000 quotes in the path', `/${'"'.repeat(1000)}`],
    ['1000 quotes in the query', `/?${'"'.repeat(1000)}`],
    ['8 KiB', `/${'a'.repeat(8191)}`],
    ['500 bytes above ASCII', `/${'\xe9'.repeat(500)}`],
  ] as const)('what the check sends to the sign-in is accepted there: %s', async ([, uri]) => {
    const { location } = await sut.party.vestibule.check({ uri })
    const { target } = await sut.land(new URL(location ?? '').search)
    expect(target).toMatch(/^https:\/\/app\.example\.com\/(?!\/)/)
  })

  test.for([
    ['/search?q=a\\b', `${APP}/search?q=a%5Cb`],
    ['/?\\\\evil.example\\', `${APP}/?%5C%5Cevil.example%5C`],
    ['/?q=a?b\\/evil.example', `${APP}/?q=a?b%5C/evil.example`],
    ['/a\\b?q=c', `${APP}/`],
    ['/\\evil.example', `${APP}/`],
    ['/\\evil.example?\\', `${APP}/`],
    ['/\\/evil.example', `${APP}/`],
  ] as const)(
    'of what was asked for a backslash is kept in the query alone: %s',
    async ([uri, expected]) => {
      const asked = await sut.party.vestibule.check({ uri })
      expectLogin(asked, expected)
      const landing = await sut.land(new URL(asked.location ?? '').search)
      expect(landing.target).toBe(expected)
      expectKnownLocations(landing.trail, sut.party.provider.issuer)
      const form = { Referer: APP + uri, 'Content-Type': 'application/x-www-form-urlencoded' }
      expectLogin(await sut.party.vestibule.check({ method: 'POST' }, form), expected, [], 303)
    },
  )

  test('a refusal is logged without the address', async () => {
    const { vestibule } = sut.party
    const told = { host: 'app.example.com', traceparent: TRACE }
    for (const path of ['login', 'logout']) {
      const id = `request-a40-${path}`
      const own = () =>
        vestibule
          .log()
          .find((line) => line['request_id'] === id && line['event'] === 'suspicious_return_to')
      const headers = { 'X-Request-Id': id, traceparent: TRACE }
      // Behind those of the tests before it may be left out.
      await until('a line', async () => {
        await vestibule.visitor().get(`${APP}/oauth2/${path}?rd=//evil.example`, { headers })
        return own() !== undefined
      })
      expect(own()).toMatchObject(told)
    }
    expect(sut.party.vestibule.output()).not.toContain('evil.example')
  })

  test('a script gets its refusal as JSON, and a HEAD or a prefetch has no effect', async () => {
    const browser = sut.party.vestibule.visitor()
    const url = `${APP}/oauth2/login${rdQuery('//evil.example')}`
    const script = await browser.fetch(url)
    expect([script.status, script.headers['content-type']]).toEqual([400, 'application/json'])
    expect(JSON.parse(script.body)).toMatchObject({ error: 'invalid_return_to' })
    const head = await browser.request('HEAD', url)
    const prefetch = await browser.get(url, { headers: { 'Sec-Purpose': 'prefetch' } })
    for (const { location, setCookies, body } of [script, head, prefetch]) {
      expect({ location, setCookies }).toEqual({ location: undefined, setCookies: [] })
      expect(body).not.toContain('evil')
    }
  })
})
