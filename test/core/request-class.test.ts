import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classify, isPrefetch, type RequestClass, showsPage } from '../../src/core/request-class.ts'
import { rawRequest } from '../support/raw-request.ts'

type Headers = Readonly<Record<string, string>>

const fetched = (mode: string, destination: string, site = 'same-origin'): Headers => ({
  'Sec-Fetch-Mode': mode,
  'Sec-Fetch-Dest': destination,
  'Sec-Fetch-Site': site,
})
const PAGE: Headers = { ...fetched('navigate', 'document', 'none'), Accept: 'text/html,*/*;q=0.8' }
const HANDSHAKE: Headers = { 'Sec-WebSocket-Key': 'eA==', 'Sec-WebSocket-Version': '13' }
const PREFLIGHT: Headers = {
  Origin: 'https://app.example.com',
  'Access-Control-Request-Method': 'PUT',
}
const FORM = 'application/x-www-form-urlencoded'

const rows: readonly (readonly [string, string, Headers, RequestClass])[] = [
  ['a page', 'GET', PAGE, 'navigation'],
  ['a page, asked with HEAD', 'HEAD', PAGE, 'navigation'],
  [
    'a page reached from another site',
    'GET',
    fetched('navigate', 'document', 'cross-site'),
    'navigation',
  ],
  ['a mode without a destination', 'GET', { 'Sec-Fetch-Mode': 'navigate' }, 'navigation'],
  ['a destination without a mode', 'GET', { 'Sec-Fetch-Dest': 'document' }, 'navigation'],
  [
    'a page, although X-Requested-With is there',
    'GET',
    { ...PAGE, 'X-Requested-With': 'a' },
    'navigation',
  ],
  ['a page that accepts no HTML by its header', 'GET', { ...PAGE, Accept: '*/*' }, 'navigation'],
  ['a form', 'POST', { ...PAGE, 'Content-Type': FORM }, 'form-navigation'],
  [
    'a form from a browser without fetch metadata',
    'POST',
    { Accept: 'text/html', 'Content-Type': FORM },
    'form-navigation',
  ],
  ['a navigation with PUT', 'PUT', PAGE, 'background'],
  ['a navigation with DELETE', 'DELETE', PAGE, 'background'],
  ['a navigation with OPTIONS', 'OPTIONS', PAGE, 'background'],
  ['a frame', 'GET', { ...PAGE, ...fetched('navigate', 'iframe') }, 'background'],
  ['a frame of the old kind', 'GET', { ...PAGE, ...fetched('navigate', 'frame') }, 'background'],
  ['an embedded object', 'GET', fetched('navigate', 'object'), 'background'],
  ['a form sent from a frame', 'POST', { ...PAGE, ...fetched('navigate', 'iframe') }, 'background'],
  ['an image', 'GET', fetched('no-cors', 'image'), 'background'],
  ['a script', 'GET', fetched('no-cors', 'script'), 'background'],
  ['a style sheet', 'GET', { ...fetched('no-cors', 'style'), Accept: 'text/css' }, 'background'],
  ['a font', 'GET', fetched('cors', 'font'), 'background'],
  ['a web manifest', 'GET', { ...fetched('cors', 'manifest'), Accept: '*/*' }, 'background'],
  [
    'a service worker',
    'GET',
    { ...fetched('same-origin', 'serviceworker'), Accept: '*/*' },
    'background',
  ],
  ['a fetch', 'GET', { ...fetched('cors', 'empty'), Accept: '*/*' }, 'background'],
  [
    'a fetch that wants HTML',
    'GET',
    { ...fetched('cors', 'empty'), Accept: 'text/html' },
    'background',
  ],
  ['a fetch that says it is a document', 'GET', fetched('cors', 'document'), 'background'],
  [
    'an XHR without fetch metadata',
    'GET',
    { 'X-Requested-With': 'XMLHttpRequest', Accept: 'text/html' },
    'background',
  ],
  ['a beacon', 'POST', fetched('no-cors', 'empty'), 'background'],
  [
    'a report',
    'POST',
    { ...fetched('no-cors', 'report'), 'Content-Type': 'application/reports+json' },
    'background',
  ],
  [
    'server-sent events',
    'GET',
    { ...fetched('cors', 'empty'), Accept: 'text/event-stream' },
    'background',
  ],
  [
    'server-sent events without fetch metadata',
    'GET',
    { Accept: 'text/event-stream' },
    'background',
  ],
  ['gRPC', 'POST', { 'Content-Type': 'application/grpc', TE: 'trailers' }, 'background'],
  [
    'gRPC-web',
    'POST',
    { 'Content-Type': 'application/grpc-web+proto', Accept: 'text/html' },
    'background',
  ],
  [
    'gRPC-web as text',
    'POST',
    { 'Content-Type': 'Application/gRPC-web-text', Accept: 'text/html' },
    'background',
  ],
  ['a program', 'GET', { Accept: '*/*' }, 'background'],
  ['a program that wants JSON', 'GET', { Accept: 'application/json' }, 'background'],
  [
    'a browser without fetch metadata',
    'GET',
    { Accept: 'text/html,application/xhtml+xml' },
    'navigation',
  ],
  ['an Accept in capitals', 'GET', { Accept: 'TEXT/HTML' }, 'navigation'],
  ['no header at all', 'GET', {}, 'background'],
  ['a prefetch', 'GET', { ...PAGE, 'Sec-Purpose': 'prefetch' }, 'prefetch'],
  ['a prerender', 'GET', { ...PAGE, 'Sec-Purpose': 'prefetch;prerender' }, 'prefetch'],
  ['a prefetch of the old kind', 'GET', { ...PAGE, Purpose: 'prefetch' }, 'prefetch'],
  ['a preview', 'GET', { ...PAGE, Purpose: 'preview' }, 'prefetch'],
  ['another purpose', 'GET', { ...PAGE, 'Sec-Purpose': 'reading' }, 'navigation'],
  ['a handshake', 'GET', HANDSHAKE, 'websocket'],
  ['a handshake by its key alone', 'GET', { 'Sec-WebSocket-Key': 'eA==' }, 'websocket'],
  ['a handshake by its version alone', 'GET', { 'Sec-WebSocket-Version': '13' }, 'websocket'],
  ['a handshake by its mode', 'GET', fetched('websocket', 'websocket'), 'websocket'],
  ['a handshake over HTTP/2', 'CONNECT', HANDSHAKE, 'websocket'],
  ['a handshake that says it is a page', 'GET', { ...PAGE, ...HANDSHAKE }, 'websocket'],
  ['a preflight', 'OPTIONS', PREFLIGHT, 'preflight'],
  [
    'a preflight with fetch metadata',
    'OPTIONS',
    { ...PREFLIGHT, ...fetched('cors', 'empty') },
    'preflight',
  ],
  [
    'a preflight without Origin',
    'OPTIONS',
    { 'Access-Control-Request-Method': 'PUT' },
    'background',
  ],
  ['a preflight without a method', 'OPTIONS', { Origin: 'https://app.example.com' }, 'background'],
  ['the headers of a preflight on GET', 'GET', PREFLIGHT, 'background'],
  ['the headers of a preflight on HEAD', 'HEAD', PREFLIGHT, 'background'],
]

describe('the class of a request', () => {
  test.for(rows)('%s: %s', ([, method, headers, expected], { expect }) => {
    expect(classify(rawRequest(headers), method)).toBe(expected)
  })

  test('a WebSocket scheme makes a handshake of anything but a preflight', () => {
    for (const [what, method, headers, alone] of rows) {
      const expected = alone === 'preflight' ? 'preflight' : 'websocket'
      expect(classify(rawRequest(headers), method, true), what).toBe(expected)
    }
  })

  test('a header that came as a list is as good as none', () => {
    const raw = {
      rawHeaders: [],
      headers: { accept: ['text/html'], 'sec-fetch-mode': ['navigate'] },
    }
    expect(classify(raw, 'GET')).toBe('background')
  })

  test('any headers have one class, and only GET, HEAD and POST can be a page', () => {
    const known = rows.flatMap(([, , headers]) => Object.entries(headers))
    const entry = fc.oneof(
      fc.constantFrom(...known),
      fc.tuple(fc.constantFrom(...known.map(([name]) => name)), fc.string()),
    )
    const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'QUERY', '')
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), method, fc.boolean(), (headers, how, isWs) => {
        const found = classify(rawRequest(Object.fromEntries(headers)), how, isWs)
        if (found === 'navigation') expect(['GET', 'HEAD']).toContain(how)
        if (found === 'form-navigation') expect(how).toBe('POST')
        if (found === 'preflight') expect(how).toBe('OPTIONS')
        if (showsPage(found)) expect(isWs).toBe(false)
      }),
      { numRuns: 500 },
    )
  })
})

test('only navigations are refused with a page', () => {
  const shown = [...new Set(rows.map(([, , , found]) => found))].filter(showsPage)
  expect(shown).toEqual(['navigation', 'form-navigation'])
})

test('a prefetch is known by either of its headers', () => {
  expect(isPrefetch(rawRequest({ 'Sec-Purpose': 'prefetch' }))).toBe(true)
  expect(isPrefetch(rawRequest({ Purpose: 'Prefetch' }))).toBe(true)
  expect(isPrefetch(rawRequest({ 'Sec-Purpose': '', Purpose: '' }))).toBe(false)
  expect(isPrefetch(rawRequest({}))).toBe(false)
})
