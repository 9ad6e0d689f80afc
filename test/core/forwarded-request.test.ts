import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import type { SentHeaders } from '../../src/core/sent-headers.ts'
import { AuthError, type AuthErrorCode } from '../../src/errors.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { sitesOf } from '../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../support/raw-request.ts'
import { words } from '../support/words.ts'

const sites = sitesOf('app.example.com', '*.apps.example.com', 'http://app.localhost:8080')

function parse(changes: Readonly<Record<string, string>> = {}) {
  return parseForwardedRequest(sentHeaders(forwarded(changes)), sites)
}

function refusalOf(raw: SentHeaders): AuthError | undefined {
  try {
    parseForwardedRequest(raw, sites)
    return undefined
  } catch (error) {
    if (error instanceof AuthError) return error
    throw error
  }
}

const PARTS = ['Method', 'Proto', 'Host', 'Uri']

describe('a forwarded request', () => {
  test('has the parts that Traefik sent', () =>
    expect(parse({ 'X-Forwarded-Method': 'POST', 'X-Forwarded-Uri': '/a/b?c=/d?e' })).toEqual({
      method: 'POST',
      site: { scheme: 'https', host: 'app.example.com', origin: 'https://app.example.com' },
      uri: '/a/b?c=/d?e',
      path: '/a/b',
      readings: { all: ['/a/b'], asWritten: ['/a/b'] },
      url: 'https://app.example.com/a/b?c=/d?e',
      isWebSocketScheme: false,
    }))

  test.for(words`
    LIST VERSION-CONTROL RPC_IN_DATA M-SEARCH QUERY A 1 ${'X'.repeat(32)}
  `)('may have the method %s (C41)', (method) =>
    expect(parse({ 'X-Forwarded-Method': method }).method).toBe(method),
  )

  test.for([
    ['path', `/${'a'.repeat(16_383)}`],
    ['query', `/?${'a'.repeat(16_382)}`],
  ] as const)('may have 16 KiB of %s (C43)', ([, uri]) =>
    expect(parse({ 'X-Forwarded-Uri': uri }).uri).toBe(uri),
  )
})

describe('a request that is refused', () => {
  const name = (part: string) => `X-Forwarded-${part}`
  test.for<[part: string, value: string, text: string, code?: AuthErrorCode]>([
    ['Proto', '', 'is missing'],
    ...['get', 'FOO!', 'A'.repeat(33), 'GET,POST', 'G T', 'Ä'].map(
      (method): [string, string, string] => ['Method', method, 'is not a method of 1 to 32'],
    ),
    ['Method', 'CONNECT', 'never allowed', 'method_not_allowed'],
    ['Method', 'TRACE', 'never allowed', 'method_not_allowed'],
    ['Proto', 'ftp', 'none of'],
    ['Proto', 'http', 'is configured for https'],
    ['Host', 'app.localhost:8080', 'is configured for http'],
    ['Host', 'evil.test', 'PROTECTED_HOSTS', 'foreign_host'],
    ['Uri', 'a', 'not a path'],
    ['Uri', `/${'a'.repeat(16_384)}`, 'longer than 16384 bytes'],
    ['Uri', `/a?${'\xe9'.repeat(16_382)}`, 'longer than 16384 bytes'],
    ['Uri', '/a/..%2fb?c', 'hidden dot segment', 'hidden_dots'],
    ['Uri', `/a//${'b'.repeat(2048)}`, 'longer than 2048 characters'],
    ['HTTP-Method', 'GET', 'is not accepted'],
  ])('%s %.20s is refused with its reason: %s', ([part, value, text, code = 'invalid_request']) => {
    const headers = part === 'HTTP-Method' ? { [`X-${part}`]: value } : { [name(part)]: value }
    const message = expect.stringContaining(text) as string
    const refusal = refusalOf(sentHeaders(forwarded(headers)))
    expect(refusal).toMatchObject({ code, isPublic: true, message })
  })
})

describe('any forwarded request', () => {
  const text = fc.oneof(
    anyText,
    fc.constantFrom('', ...words`GET https app.example.com x.apps.example.com / /a?b //`),
  )
  const uri = fc
    .array(fc.constantFrom('/', 'a', '%2e', '..', ';', '?', '#', ' ', '\u00e9', '\\', '%', '\0'))
    .map((parts) => `/${parts.join('')}`)
  const names = fc.constantFrom(
    ...PARTS.map((part) => `X-Forwarded-${part}`),
    ...words`x-forwarded-uri X-Forwarded-For X_Forwarded_Host X-HTTP-Method Host`,
  )
  const request = fc
    .record({
      'X-Forwarded-Method': fc.constantFrom('GET', 'POST', 'TRACE', 'get'),
      'X-Forwarded-Proto': fc.constantFrom('https', 'wss', 'https', 'http'),
      'X-Forwarded-Host': fc.constantFrom(
        ...words`app.example.com APP.example.com:443 a.apps.example.com`,
      ),
      'X-Forwarded-Uri': fc.oneof(uri, text),
    })
    .map((headers) => Object.entries(headers))
  const anything = fc.array(fc.tuple(names, text), { maxLength: 8 })

  test('is refused with an error of ours or has a place that a URL can name', () => {
    const codes = words`invalid_request hidden_dots foreign_host method_not_allowed`
    holds(1000, [fc.oneof(request, anything)], (entries) => {
      const raw = sentHeaders(entries)
      const refusal = refusalOf(raw)
      if (refusal) {
        expect(codes).toContain(refusal.code)
        return
      }
      const { url, site, uri, path, readings } = parseForwardedRequest(raw, sites)
      expect(new URL(url).origin).toBe(site.origin)
      expect(uri).toMatch(/^\/(?!\/)[\x21-\x7e]*$/)
      expect(uri.startsWith(path)).toBe(true)
      expect(path).not.toContain('?')
      expect(readings.all.length).toBeGreaterThan(0)
    })
  })

  test('what was read, sent again, is read the same', () =>
    holds(500, [request], (entries) => {
      const raw = sentHeaders(entries)
      fc.pre(refusalOf(raw) === undefined)
      const once = parseForwardedRequest(raw, sites)
      const again = parse({
        'X-Forwarded-Method': once.method,
        'X-Forwarded-Proto': once.isWebSocketScheme ? 'wss' : 'https',
        'X-Forwarded-Host': once.site.host,
        'X-Forwarded-Uri': once.uri,
      })
      expect(again).toEqual(once)
    }))

  test('a header beside a good request never makes another request of it', () =>
    holds(100, [names, text, fc.boolean()], (added, value, isFirst) => {
      const good = Object.entries(forwarded({ 'X-Forwarded-Uri': '/a' }))
      const extra: [string, string] = [added, value]
      const raw = sentHeaders(isFirst ? [extra, ...good] : [...good, extra])
      if (refusalOf(raw) !== undefined) return
      expect(parseForwardedRequest(raw, sites)).toEqual(parse({ 'X-Forwarded-Uri': '/a' }))
    }))
})
