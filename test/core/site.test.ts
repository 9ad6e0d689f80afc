import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createSite,
  createSites,
  type HostPattern,
  matchesHost,
  parseHost,
  parseHostPattern,
  patternOf,
} from '../../src/core/site.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { hostPatterns, sitesOf } from '../support/protected-sites.ts'
import { rows, words } from '../support/words.ts'

const sites = sitesOf(
  ...words`
    app.example.com *.apps.example.com https://odd.example.com:8443 http://app.localhost:8080
    http://*.test.localhost
  `,
)

/** Host values near the ones that are protected. */
const hostileHost = fc
  .array(
    fc.constantFrom(
      ...words`
        app apps a APP . . - example com localhost : 443 8080 0 @ / \x20 , * [::1] xn--a é \0 _
      `,
    ),
    { maxLength: 9 },
  )
  .map((parts) => parts.join(''))
const anyHost = fc.oneof(hostileHost, anyText, fc.domain())

describe('a host value', () => {
  test('one that is longer than any name with a port is none', () => {
    expect(parseHost('a'.repeat(259))?.hostname).toHaveLength(259)
    expect(parseHost('a'.repeat(260))).toBeUndefined()
  })

  test('whatever comes, it is a plain name or nothing, and reads the same a second time', () =>
    holds(1000, [anyHost], (value) => {
      const host = parseHost(value)
      if (!host) return
      expect(host.hostname).toMatch(/^[a-z0-9_][a-z0-9._-]*$/)
      expect(host.hostname).not.toMatch(/\.\.|[.-]$/)
      expect(parseHost(host.port ? `${host.hostname}:${host.port}` : host.hostname)).toEqual(host)
    }))
})

describe('an entry of PROTECTED_HOSTS', () => {
  const https = {
    scheme: 'https',
    hostname: 'app.example.com',
    port: '',
    isWildcard: false,
  } as const
  const http = { ...https, scheme: 'http' } as const

  test.for<[string, HostPattern | undefined]>([
    ...rows`app.example.com https://App.example.com HTTPS://app.example.com:443`(https),
    ['app.example.com:8443', { ...https, port: '8443' }],
    ['*.example.com', { ...https, hostname: 'example.com', isWildcard: true }],
    ['http://app.localhost:8080', { ...http, hostname: 'app.localhost', port: '8080' }],
    ['http://*.localhost:80', { ...http, hostname: 'localhost', isWildcard: true }],
    ['app.example.com:80', { ...https, port: '80' }],
    ['my_app.example.com', { ...https, hostname: 'my_app.example.com' }],
    ['*._b_.example.com', { ...https, hostname: '_b_.example.com', isWildcard: true }],
    ['', undefined],
    ...rows`
      * *. *.*.example.com app.*.com *app.example.com https://app.example.com/
      https://app.example.com/path ftp://app.example.com //app.example.com
      https://user@app.example.com https:// app.example.com,b.example.com app.example.com:65536
      app.example.com:99999 a.test:0443
    `(undefined),
  ])('%s', ([source, expected]) => expect(parseHostPattern(source)).toEqual(expected))

  test('any text is a pattern or nothing, and a pattern written out is the same pattern', () =>
    holds(
      1000,
      [fc.constantFrom('', 'https://', 'http://', 'HTTP://'), fc.constantFrom('', '*.'), anyHost],
      (scheme, star, host) => {
        const pattern = parseHostPattern(`${scheme}${star}${host}`)
        if (!pattern) return
        const { origin } = createSite(pattern.scheme, pattern.hostname, pattern.port)
        const written = pattern.isWildcard ? origin.replace('://', '://*.') : origin
        expect(parseHostPattern(written)).toEqual(pattern)
      },
    ))
})

describe('a site', () => {
  test.for([
    ['https', 'app.example.com', '', 'https://app.example.com'],
    ['https', 'app.example.com', '443', 'https://app.example.com'],
    ['https', 'app.example.com', '80', 'https://app.example.com:80'],
    ['http', 'app.localhost', '80', 'http://app.localhost'],
    ['http', 'app.localhost', '8080', 'http://app.localhost:8080'],
  ] as const)('%s %s %s has the origin %s', ([scheme, name, port, origin]) => {
    const site = createSite(scheme, name, port)
    expect(site).toEqual({ scheme, host: origin.slice(origin.indexOf('//') + 2), origin })
    expect(new URL(site.origin).origin).toBe(origin)
  })

  test('its own pattern finds it and nothing else', () => {
    const label = fc.stringMatching(/^[a-z_]([a-z0-9_-]{0,6}[a-z0-9_])?$/)
    const name = fc.array(label, { minLength: 1, maxLength: 4 })
    const port = fc.constantFrom('', '443', '80', '8443')
    const scheme = fc.constantFrom('https' as const, 'http' as const)
    holds(100, [scheme, name, port], (how, labels, at) => {
      const site = createSite(how, labels.join('.'), at)
      const found = createSites([patternOf(site)])
      expect(site.origin).toBe(new URL(site.origin).origin)
      expect([found.find(site.host), found.find(`x.${site.host}`)]).toEqual([site, undefined])
      expect(found.find(`x${site.host}`)).toBeUndefined()
    })
  })
})

describe('matching a host', () => {
  const pairs = (template: TemplateStringsArray) => (expected: boolean) =>
    rows(template)(expected).map(([pair, is]) => [...pair.split('=>'), is] as const)
  test.for([
    ...pairs`
      app.example.com=>app.example.com app.example.com=>app.example.com:443
      *.example.com=>app.example.com *.example.com=>a.b.example.com
      *.example.com:8443=>app.example.com:8443 http://app.localhost=>app.localhost:80
    `(true),
    ...pairs`
      app.example.com=>app.example.com:80 app.example.com=>app.example.com:8443
      app.example.com=>x.app.example.com app.example.com=>example.com *.example.com=>example.com
      *.example.com=>evilexample.com *.example.com=>app.example.com.evil.test
      *.example.com=>app.example.com:8443 http://app.localhost=>app.localhost:443
    `(false),
  ])('%s matches %s: %s', ([source, host, expected]) => {
    const [pattern] = hostPatterns(String(source))
    const [hostname = '', port = ''] = String(host).split(':')
    expect(matchesHost(pattern as HostPattern, hostname, port)).toBe(expected)
  })
})

describe('finding a protected site', () => {
  test('whatever comes, only a protected name is found, with the scheme from configuration', () =>
    holds(
      1000,
      [anyHost, fc.constantFrom('', '.apps.example.com', '.test.localhost')],
      (host, end) => {
        const site = sites.find(host + end)
        if (!site) return
        expect(site.origin).toMatch(
          /^(https:\/\/(app\.example\.com|[a-z0-9._-]+\.apps\.example\.com|odd\.example\.com:8443)|http:\/\/(app\.localhost:8080|[a-z0-9._-]+\.test\.localhost))$/,
        )
        expect(site.origin).toBe(`${site.scheme}://${site.host}`)
        expect(new URL(site.origin).origin).toBe(site.origin)
        expect(sites.find(site.host)).toEqual(site)
      },
    ))
})
