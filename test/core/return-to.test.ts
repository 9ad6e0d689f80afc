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
  for (const rd of ['a'.repeat(2040), 'a'.repeat(2048), 'é'.repeat(1000)].map(
    (each) => `/${each}`,
  )) {
    const href = parse(rd)
    const again = href === undefined ? undefined : parse(href)
    expect(again === href, `${rd.length} characters`).toBe(true)
  }
})

test('a site that no URL can name is no place to return to', () =>
  expect(parseReturnTo('/', createSite('https', 'app.1', ''), options)).toBeUndefined())
