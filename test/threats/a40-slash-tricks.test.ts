import { describe, expect, test } from 'vitest'
import { expectLogin } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { expectKnownLocations, expectRefusedReturn, rdQuery } from '../support/return-to.ts'
import { words } from '../support/words.ts'

const { sut, vestibule, refuses, leads } = returnAddressTables()

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const hostile = words`
  //evil.example ///evil.example ////evil.example //evil.example/%2f.. /\\evil.example
  \\\\evil.example \\/evil.example \\evil.example //\\evil.example /\t/evil.example
  /\n/evil.example /\r/evil.example /\r\n/evil.example /\0/evil.example /\x20/evil.example
  \t//evil.example \x20//evil.example \n//evil.example \u00a0//evil.example \ufeff//evil.example
  \u2028//evil.example //evil.example\x20 https:\\evil.example https:\\\\evil.example
  https:evil.example https:/evil.example https:///evil.example http:evil.example
  http:/evil.example http://evil.example https://evil.example ht\ttps://evil.example
  https:\n//evil.example https://\tevil.example https:/\\evil.example https:\\/evil.example
  //app.example.com \\\\app.example.com https:app.example.com https:/app.example.com
  https:///app.example.com evil.example evil.example// .//evil.example ?//evil.example
  #//evil.example \x20
`

describe('A40 scheme-relative addresses and slash tricks', () => {
  refuses('%j is refused with a page', hostile)

  test.for(words`
    ?rd=/%09/evil.example ?rd=%09//evil.example ?rd=%2f%2fevil.example ?rd=%2F%5Cevil.example
    ?rd=%5c%5cevil.example ?rd=/%5cevil.example ?rd=/+/evil.example ?rd=+//evil.example
    ?rd=//evil.example ?rd=/\\evil.example ?rd=/%00/evil.example ?rd=%E2%80%A8//evil.example
    ?rd=//evil.example#x ?x=1&rd=//evil.example&y=/ ?%72d=//evil.example ?r%64=//evil.example
  `)('the query %s is refused, however it is written', async (query) => {
    const visit = await sut().login(query)
    expectRefusedReturn(visit)
    expect(visit.body).toContain('This request cannot be answered')
  })

  leads('a path or address of ours is where the sign-in ends: %s', [
    ...words`
      / /a /a/b?c=d&e=%2F%2Fevil.example#f /a//b /?next=//evil.example /#//evil.example
      /%09/evil.example ${APP}/a?b https://other.example.com/x
    `,
    ['/é', `${APP}/%C3%A9`],
    [APP, `${APP}/`],
    ['https://APP.example.com/x', `${APP}/x`],
  ])

  test.for(['', '?rd=', '?rd', '?', '?x=//evil.example'])(
    'without an address the sign-in ends at the root: %s',
    async (query) => expect((await sut().land(query)).target).toBe(`${APP}/`),
  )

  refuses('a long address is refused: %s', [
    ['2049 characters', `/${'a'.repeat(2048)}`],
    ['20 000 characters', `/${'a'.repeat(20_000)}`],
    ['2049 characters with a host', `${APP}/${'a'.repeat(2049 - APP.length - 1)}`],
  ])

  test.for([
    ['2048 characters with a host', `${APP}/${'a'.repeat(2047 - APP.length)}`],
    ['2000 characters of path', `/${'a'.repeat(1999)}`],
    ['2048 characters of path', `/${'a'.repeat(2047)}`],
    ['200 letters that take six characters each', `/${'é'.repeat(200)}`],
    ['1000 letters that take six characters each', `/${'é'.repeat(1000)}`],
    ['2000 letters that take nine characters each', `/${'。'.repeat(2000)}`],
  ] as const)('an address is refused at once or kept to the end: %s', async ([, rd]) => {
    const { target, trail, last } = await sut().land(rdQuery(rd))
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
    const { location } = await vestibule().check({ uri })
    const { target } = await sut().land(new URL(location ?? '').search)
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
  ] as const)('the check keeps a backslash in the query alone: %s', async ([uri, expected]) => {
    const asked = await vestibule().check({ uri })
    expectLogin(asked, expected)
    const { target, trail } = await sut().land(new URL(asked.location ?? '').search)
    expect(target).toBe(expected)
    expectKnownLocations(trail, sut().party.provider.issuer)
    const form = { Referer: APP + uri, 'Content-Type': 'application/x-www-form-urlencoded' }
    expectLogin(await vestibule().check({ method: 'POST' }, form), expected, [], 303)
  })

  test('a refusal is logged without the address', async () => {
    for (const path of ['login', 'logout']) {
      const headers = { 'X-Request-Id': `request-a40-${path}`, traceparent: TRACE }
      const own = { request_id: headers['X-Request-Id'], event: 'suspicious_return_to' }
      // The log is rate limited, so that an earlier test may have used up this line.
      await expect
        .poll(async () => {
          await vestibule().visitor().get(`${APP}/oauth2/${path}?rd=//evil.example`, { headers })
          return vestibule().log()
        })
        .toContainEqual(
          expect.objectContaining({ ...own, host: 'app.example.com', traceparent: TRACE }),
        )
    }
    expect(vestibule().output()).not.toContain('evil.example')
  })

  test('a script gets its refusal as JSON, and a HEAD or a prefetch has no effect', async () => {
    const browser = vestibule().visitor()
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
