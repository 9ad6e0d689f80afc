import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classify, isPrefetch, type RequestClass, showsPage } from '../../src/core/request-class.ts'
import { holds } from '../support/holds.ts'
import { sentHeaders } from '../support/raw-request.ts'
import { words } from '../support/words.ts'

type Headers = Readonly<Record<string, string>>

function fetched(mode: string, destination: string, site = 'same-origin'): Headers {
  return { 'Sec-Fetch-Mode': mode, 'Sec-Fetch-Dest': destination, 'Sec-Fetch-Site': site }
}
const PAGE: Headers = { ...fetched('navigate', 'document', 'none'), Accept: 'text/html,*/*;q=0.8' }
const PASSED_ON: Headers = { ...PAGE, ...fetched('navigate', 'empty') }
const HANDSHAKE: Headers = { 'Sec-WebSocket-Key': 'eA==', 'Sec-WebSocket-Version': '13' }
const ORIGIN: Headers = { Origin: 'https://app.example.com' }
const ASKED_METHOD: Headers = { 'Access-Control-Request-Method': 'PUT' }
const PREFLIGHT: Headers = { ...ORIGIN, ...ASKED_METHOD }
const FORM: Headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
const FETCH = fetched('cors', 'empty')
const HTML: Headers = { Accept: 'text/html' }
const EVENTS: Headers = { Accept: 'text/event-stream' }
const ANY: Headers = { Accept: '*/*' }
function content(type: string): Headers {
  return { 'Content-Type': type }
}

const ROWS: Readonly<Record<RequestClass, readonly (readonly [string, string, Headers])[]>> = {
  navigation: [
    ['a page', 'GET', PAGE],
    ['a page, asked with HEAD', 'HEAD', PAGE],
    ['a page reached from another site', 'GET', fetched('navigate', 'document', 'cross-site')],
    ['a mode without a destination', 'GET', { 'Sec-Fetch-Mode': 'navigate' }],
    ['a destination without a mode', 'GET', { 'Sec-Fetch-Dest': 'document' }],
    ['a page with X-Requested-With', 'GET', { ...PAGE, 'X-Requested-With': 'a' }],
    ['a page whose Accept has no HTML', 'GET', { ...PAGE, ...ANY }],
    ['a browser without fetch metadata', 'GET', { Accept: 'text/html,application/xhtml+xml' }],
    ['an Accept in capitals', 'GET', { Accept: 'TEXT/HTML' }],
    ['a page that a service worker passes on', 'GET', PASSED_ON],
    ['a page of another site, passed on', 'GET', { ...PASSED_ON, 'Sec-Fetch-Site': 'cross-site' }],
    ['another purpose', 'GET', { ...PAGE, 'Sec-Purpose': 'reading' }],
  ],
  'form-navigation': [
    ['a form', 'POST', { ...PAGE, ...FORM }],
    ['a form without fetch metadata', 'POST', { ...HTML, ...FORM }],
    ['a form that a service worker passes on', 'POST', { ...PASSED_ON, ...FORM }],
  ],
  background: [
    ...words`PUT DELETE OPTIONS`.map((how) => [`a navigation with ${how}`, how, PAGE] as const),
    ...words`iframe frame hostile`.map(
      (each) => [`a page in ${each}`, 'GET', { ...PAGE, ...fetched('navigate', each) }] as const,
    ),
    ...words`navigate/object navigate/embed no-cors/image no-cors/script cors/font`.map((each) => {
      const [mode = '', destination = ''] = each.split('/')
      return [`a request of ${each}`, 'GET', fetched(mode, destination)] as const
    }),
    ['a navigation passed on for anything but HTML', 'GET', { ...PASSED_ON, ...ANY }],
    ['a navigation passed on with PUT', 'PUT', PASSED_ON],
    ['a destination of a fetch without its mode', 'GET', { 'Sec-Fetch-Dest': 'empty', ...HTML }],
    [
      'a fetch of the same origin that accepts HTML',
      'GET',
      { ...fetched('same-origin', 'empty'), ...HTML },
    ],
    ['an unknown mode', 'GET', { ...PAGE, ...fetched('hostile', 'document') }],
    ['a form sent from an iframe', 'POST', { ...PAGE, ...fetched('navigate', 'iframe') }],
    ['a style sheet', 'GET', { ...fetched('no-cors', 'style'), Accept: 'text/css' }],
    ['a web manifest', 'GET', { ...fetched('cors', 'manifest'), ...ANY }],
    ['a service worker', 'GET', { ...fetched('same-origin', 'serviceworker'), ...ANY }],
    ['a fetch', 'GET', { ...FETCH, ...ANY }],
    ['a fetch that accepts HTML', 'GET', { ...FETCH, ...HTML }],
    ['a fetch of the same origin', 'GET', { 'Sec-Fetch-Mode': 'same-origin' }],
    ['a fetch with destination document', 'GET', fetched('cors', 'document')],
    ['an XHR', 'GET', { 'X-Requested-With': 'XMLHttpRequest', ...HTML }],
    ['a beacon', 'POST', fetched('no-cors', 'empty')],
    [
      'a report',
      'POST',
      { ...fetched('no-cors', 'report'), ...content('application/reports+json') },
    ],
    ['server-sent events', 'GET', { ...FETCH, ...EVENTS }],
    ['server-sent events without fetch metadata', 'GET', EVENTS],
    ['gRPC', 'POST', { ...content('application/grpc'), TE: 'trailers' }],
    ['gRPC-web', 'POST', { ...content('application/grpc-web+proto'), ...HTML }],
    ['gRPC-web as text', 'POST', { ...content('Application/gRPC-web-text'), ...HTML }],
    ['a program', 'GET', ANY],
    ['a program that accepts JSON', 'GET', { Accept: 'application/json' }],
    ['no header at all', 'GET', {}],
    ['a preflight without Origin', 'OPTIONS', ASKED_METHOD],
    ['a preflight without a method', 'OPTIONS', ORIGIN],
    ['the headers of a preflight on GET', 'GET', PREFLIGHT],
    ['the headers of a preflight on HEAD', 'HEAD', PREFLIGHT],
  ],
  prefetch: [
    ['a prefetch', 'GET', { ...PAGE, 'Sec-Purpose': 'prefetch' }],
    ['a prerender', 'GET', { ...PAGE, 'Sec-Purpose': 'prefetch;prerender' }],
    ['a prefetch with Purpose', 'GET', { ...PAGE, Purpose: 'prefetch' }],
    ['a preview', 'GET', { ...PAGE, Purpose: 'preview' }],
  ],
  websocket: [
    ['a handshake', 'GET', HANDSHAKE],
    ['a handshake by its key alone', 'GET', { 'Sec-WebSocket-Key': 'eA==' }],
    ['a handshake by its version alone', 'GET', { 'Sec-WebSocket-Version': '13' }],
    ['a handshake by its mode', 'GET', fetched('websocket', 'websocket')],
    ['a handshake over HTTP/2', 'CONNECT', HANDSHAKE],
    ['a handshake with the headers of a page', 'GET', { ...PAGE, ...HANDSHAKE }],
  ],
  preflight: [
    ['a preflight', 'OPTIONS', PREFLIGHT],
    ['a preflight with fetch metadata', 'OPTIONS', { ...PREFLIGHT, ...FETCH }],
  ],
}
const rows = Object.entries(ROWS).flatMap(([found, each]) =>
  each.map((row) => [...row, found as RequestClass] as const),
)

describe('the class of a request (A20, A62, A63, A70)', () => {
  test.for(rows)('%s: %s', ([, method, headers, expected]) =>
    expect(classify(sentHeaders(headers), method)).toBe(expected),
  )

  test('a WebSocket scheme makes any request but a preflight a handshake', () => {
    for (const [what, method, headers, alone] of rows) {
      const expected = alone === 'preflight' ? 'preflight' : 'websocket'
      expect(classify(sentHeaders(headers), method, true), what).toBe(expected)
    }
  })

  test('any headers have one class, and only GET, HEAD and POST can be a navigation', () => {
    const known = rows.flatMap(([, , headers]) => Object.entries(headers))
    const entry = fc.oneof(
      fc.constantFrom(...known),
      fc.tuple(fc.constantFrom(...known.map(([name]) => name)), fc.string()),
    )
    const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'QUERY', '')
    holds(500, [fc.array(entry, { maxLength: 6 }), method, fc.boolean()], (headers, how, isWs) => {
      const found = classify(sentHeaders(Object.fromEntries(headers)), how, isWs)
      if (found === 'navigation') expect(['GET', 'HEAD']).toContain(how)
      if (found === 'form-navigation') expect(how).toBe('POST')
      if (found === 'preflight') expect(how).toBe('OPTIONS')
      if (showsPage(found)) expect(isWs).toBe(false)
    })
  })
})

test('only navigations are refused with a page', () => {
  const shown = [...new Set(rows.map(([, , , found]) => found))].filter(showsPage)
  expect(shown).toEqual(['navigation', 'form-navigation'])
})

test('a prefetch is recognized by either of its headers', () => {
  const are = (...all: Headers[]) => all.map((each) => isPrefetch(sentHeaders(each)))
  expect(are({ 'Sec-Purpose': 'prefetch' }, { Purpose: 'Prefetch' })).toEqual([true, true])
  expect(are({ 'Sec-Purpose': '', Purpose: '' }, {})).toEqual([false, false])
})
