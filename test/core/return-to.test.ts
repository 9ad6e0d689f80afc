import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mayLeadUnder, readPath } from '../../src/core/path-readings.ts'
import { parseReturnTo } from '../../src/core/return-to.ts'
import { createSite } from '../../src/core/site.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { words } from '../support/words.ts'

const sites = sitesOf(
  ...words`app.example.com *.apps.example.com odd.example.com:8443 http://app.localhost:8080`,
)
const self = createSite('https', 'app.example.com', '')
const options = { sites, basePath: '/oauth2' }
function parse(rd: string) {
  return parseReturnTo(rd, self, options)
}

const ORIGINS =
  /^(https:\/\/(app\.example\.com|[a-z0-9._-]+\.apps\.example\.com|odd\.example\.com:8443)|http:\/\/app\.localhost:8080)$/

const part = fc.constantFrom(
  ...words`
      / / \\ . .. // @ : ? # %2f %5c %2e %09 \t \x20 https: http: HTTPS:// https:// https://
      javascript: evil.test 。 \u200b app.example.com app.example.com x.apps.example.com
      .apps.example.com my_app _ apps odd.example.com:8443 :443 app.localhost:8080 oauth2 OAuth2 logout é ;
    `,
)
const hostile = fc.array(part, { maxLength: 9 }).map((parts) => parts.join(''))
const anyTarget = fc.oneof(
  { weight: 4, arbitrary: hostile },
  { weight: 2, arbitrary: hostile.map((rest) => `/${rest}`) },
  { weight: 1, arbitrary: fc.webUrl({ withFragments: true, withQueryParameters: true }) },
  { weight: 1, arbitrary: anyText },
)

test('any text leads to a known origin, outside our own pages, or nowhere', () =>
  holds(2000, [anyTarget], (rd) => {
    const href = parse(rd)
    if (href === undefined) return
    const url = new URL(href)
    expect(url.href).toBe(href)
    expect(url.origin).toMatch(ORIGINS)
    expect(url.username + url.password).toBe('')
    expect(url.pathname).not.toMatch(/^\/\//)
    expect(href).toMatch(/^[\x21-\x7e]+$/)
    expect(mayLeadUnder('/oauth2', readPath(url.pathname))).toBe(false)
  }))

test('what it returns leads to the same place again', () =>
  holds(300, [anyTarget], (rd) => {
    const href = parse(rd)
    fc.pre(href !== undefined)
    expect(parse(href ?? '')).toBe(href)
  }))

test('a long target leads to the same place again, or nowhere to begin with', () => {
  for (const rd of [2970, 2975, 2976, 2999, 3000, 9999].flatMap((length) => [
    `/${'a'.repeat(length)}`,
    `/a?${'b'.repeat(length)}`,
    `/a?${'é'.repeat(length / 3)}`,
  ])) {
    const href = parse(rd)
    const again = href === undefined ? undefined : parse(href)
    expect(again === href, `${rd.length} characters`).toBe(true)
  }
})

const [ORIGIN, LONGEST] = ['https://app.example.com', 3000 - 'https://app.example.com'.length]
test.for<[what: string, rd: string, target: string | undefined]>([
  ['the longest path', `/${'a'.repeat(LONGEST - 1)}`, `${ORIGIN}/${'a'.repeat(LONGEST - 1)}`],
  ['a longer path', `/${'a'.repeat(LONGEST)}`, undefined],
  ['a path that grows when it is encoded', `/${'é'.repeat(500)}`, undefined],
  ['a long path that is resolved', `/${'a/../'.repeat(590)}b`, `${ORIGIN}/b`],
  ['the longest query', `/a?${'b'.repeat(LONGEST - 3)}`, `${ORIGIN}/a?${'b'.repeat(LONGEST - 3)}`],
  ['a longer query', `/a?${'b'.repeat(LONGEST - 2)}`, `${ORIGIN}/a`],
  ['a query that grows when it is encoded', `/a?${'é'.repeat(500)}`, `${ORIGIN}/a`],
  ['a query of 48 KiB', `${ORIGIN}/a?${'%C3%A9'.repeat(8192)}#c`, `${ORIGIN}/a`],
  ['a long fragment', `/a#${'b'.repeat(3000)}`, `${ORIGIN}/a`],
  ['a long query of another host', `https://evil.test/a?${'b'.repeat(3000)}`, undefined],
  ['a long query of our own pages', `/oauth2/logout?${'b'.repeat(3000)}`, `${ORIGIN}/`],
])('a target is kept up to 3,000 characters, then without its query (C43): %s', ([, rd, target]) =>
  expect(parse(rd)).toBe(target),
)

test('a site that no URL can name is no place to return to', () =>
  expect(parseReturnTo('/', createSite('https', 'app.1', ''), options)).toBeUndefined())

test.for([
  ['/oauth2/sessions', `${self.origin}/oauth2/sessions`],
  ['/oauth2/sessions?end=others#x', `${self.origin}/oauth2/sessions`],
  ['/oauth2/%73essions', `${self.origin}/`],
  ['/oauth2/sessions/', `${self.origin}/`],
  ['/oauth2/Sessions', `${self.origin}/`],
  ['/oauth2/sessions;x', `${self.origin}/`],
  ['/oauth2/x/../sessions', `${self.origin}/oauth2/sessions`],
  ['/oauth2/logout', `${self.origin}/`],
] as const)(
  'under the base path a sign-in leads to the page of one’s sessions alone: %s',
  ([rd, target]) => expect(parseReturnTo(rd, self, options)).toBe(target),
)
