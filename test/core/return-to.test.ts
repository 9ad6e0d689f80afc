import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mayLeadUnder, readPath } from '../../src/core/path-readings.ts'
import { parseReturnTo } from '../../src/core/return-to.ts'
import { createSite } from '../../src/core/site.ts'
import { anyText } from '../support/any-text.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { rows, words } from '../support/words.ts'

const sites = sitesOf(
  ...words`app.example.com *.apps.example.com odd.example.com:8443 http://app.localhost:8080`,
)
const self = createSite('https', 'app.example.com', '')
const options = { sites, basePath: '/oauth2' }
function parse(rd: string) {
  return parseReturnTo(rd, self, options)
}

const ORIGINS =
  /^(https:\/\/(app\.example\.com|[a-z0-9.-]+\.apps\.example\.com|odd\.example\.com:8443)|http:\/\/app\.localhost:8080)$/

describe('where to return to', () => {
  test.for([
    ['/', 'https://app.example.com/'],
    ['/a?b=c#d', 'https://app.example.com/a?b=c#d'],
    ['/a/../b', 'https://app.example.com/b'],
    ['/a//b', 'https://app.example.com/a//b'],
    ['/é', 'https://app.example.com/%C3%A9'],
    ['/?rd=https://evil.test', 'https://app.example.com/?rd=https://evil.test'],
    ['/%2f%2fevil.test', 'https://app.example.com/%2f%2fevil.test'],
    ['/@evil.test', 'https://app.example.com/@evil.test'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['https://APP.example.com/a', 'https://app.example.com/a'],
    ['https://x.apps.example.com/a', 'https://x.apps.example.com/a'],
    ['https://odd.example.com:8443/a', 'https://odd.example.com:8443/a'],
    ['http://app.localhost:8080/a', 'http://app.localhost:8080/a'],
  ])('%s leads to %s', ([rd = '', href], { expect }) => {
    expect(parse(rd)).toBe(href)
  })

  test.for([
    ...rows`
      /oauth2 /oauth2/logout /OAuth2/login?rd=/x /%6fauth2/logout /a/../oauth2/logout
      /a/%2e%2e/oauth2/logout /oauth2;x/logout
    `('https://app.example.com/'),
    ['https://x.apps.example.com/oauth2/logout', 'https://x.apps.example.com/'],
    ['/oauth2-docs', 'https://app.example.com/oauth2-docs'],
  ])('%s leads to %s, never into our own pages (A46)', ([rd = '', href], { expect }) => {
    expect(parse(rd)).toBe(href)
  })

  test.for([
    '',
    ...words`
      a ?a #a .. ./a app.example.com * //evil.test ///evil.test ////evil.test /\\evil.test
      \\\\evil.test \\/evil.test /\t/evil.test /\n/evil.test \x20/a /a\x20b \t//evil.test
      /\u2028 /\u3000a /\0 /..//evil.test /.//evil.test /a/..//evil.test /%2e//evil.test
      /./\\evil.test https:evil.test https:/evil.test https:///evil.test https:\\\\evil.test
      http:evil.test https://evil.test https://evil.test/app.example.com
      https://evil.test?app.example.com https://evil.test#.app.example.com
      https://evil.test\\.app.example.com https://app.example.com@evil.test
      https://app.example.com:443@evil.test https://a@app.example.com
      https://:@app.example.com https://app.example.com%2f@evil.test https://@app.example.com
      https://app.example.com.evil.test https://appexample.com https://evilapps.example.com
      https://app.example.com. https://app.example.com:443 https://app.example.com:80
      https://app.example.com:8443 https://app%2eexample.com https://app。example.com
      https://ａpp.example.com https://0x7f.1 https://[::ffff:1.2.3.4] https://127.0.0.1
      http://app.example.com https://app.localhost:8080 HTTPS://app.example.com
      hTtPs:evil.test javascript:alert(1) java\nscript:alert(1) data:text/html,x
      blob:https://app.example.com/x ftp://app.example.com wss://app.example.com https://
      http:// https://.
      /${'a'.repeat(2048)} https://app.example.com/${'a'.repeat(2048)}
    `,
  ])('%j leads nowhere (A40-A45)', (rd, { expect }) => {
    expect(parse(rd)).toBeUndefined()
  })

  const part = fc.constantFrom(
    ...words`
      / / \\ . .. // @ : ? # %2f %5c %2e %09 \t \x20 https: http: HTTPS:// https:// https://
      javascript: evil.test 。 \u200b app.example.com app.example.com x.apps.example.com
      .apps.example.com apps odd.example.com:8443 :443 app.localhost:8080 oauth2 OAuth2
      logout é ;
    `,
  )
  const hostile = fc.array(part, { maxLength: 9 }).map((parts) => parts.join(''))
  const anyTarget = fc.oneof(
    { weight: 4, arbitrary: hostile },
    { weight: 2, arbitrary: hostile.map((rest) => `/${rest}`) },
    { weight: 1, arbitrary: fc.webUrl({ withFragments: true, withQueryParameters: true }) },
    { weight: 1, arbitrary: anyText },
  )

  test('any text leads to a known origin, outside our own pages, or nowhere', () => {
    fc.assert(
      fc.property(anyTarget, (rd) => {
        const href = parse(rd)
        if (href === undefined) return
        const url = new URL(href)
        expect(url.href).toBe(href)
        expect(url.origin).toMatch(ORIGINS)
        expect(url.username + url.password).toBe('')
        expect(url.pathname).not.toMatch(/^\/\//)
        expect(href).toMatch(/^[\x21-\x7e]+$/)
        expect(mayLeadUnder('/oauth2', readPath(url.pathname))).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  test('what it returns leads to the same place again', () => {
    fc.assert(
      fc.property(anyTarget, (rd) => {
        const href = parse(rd)
        fc.pre(href !== undefined)
        expect(parse(href ?? '')).toBe(href)
      }),
      { numRuns: 300 },
    )
  })

  test('a long target leads to the same place again, or nowhere to begin with', () => {
    for (const rd of [`/${'a'.repeat(2040)}`, `/${'é'.repeat(1000)}`]) {
      const href = parse(rd)
      const again = href === undefined ? undefined : parse(href)
      expect(again === href, `${rd.length} characters`).toBe(true)
    }
  })

  test('a site that no URL can name is no place to return to', () => {
    const unnamed = createSite('https', 'app.1', '')
    expect(parseReturnTo('/', unnamed, options)).toBeUndefined()
  })
})
