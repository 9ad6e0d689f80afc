import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHeaderScan, type SentHeaders, scanHeaders } from '../../src/core/sent-headers.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

/** Headers by the field that holds each of them. */
const FIELDS = {
  'X-Forwarded-Method': 'forwardedMethod',
  'X-Forwarded-Proto': 'forwardedProto',
  'X-Forwarded-Host': 'forwardedHost',
  'X-Forwarded-Uri': 'forwardedUri',
  Cookie: 'cookie',
  Accept: 'accept',
  'Content-Type': 'contentType',
  Origin: 'origin',
  'X-Requested-With': 'requestedWith',
  'Sec-Fetch-Mode': 'fetchMode',
  'Sec-Fetch-Dest': 'fetchDestination',
  'Sec-Purpose': 'secPurpose',
  Purpose: 'purpose',
  'Sec-WebSocket-Key': 'webSocketKey',
  'Sec-WebSocket-Version': 'webSocketVersion',
  'Access-Control-Request-Method': 'requestedMethod',
} as const satisfies Readonly<Record<string, keyof SentHeaders>>
const NAMES = Object.keys(FIELDS)
const SINGLE = NAMES.slice(0, 4)
const OTHERS = words`Host :path X-Forwarded-For X-Auth-Request-User Sec-Ch-Ua constructor __proto__`

/** The method by which Node's parser hands over the headers. */
const ADD_HEADER_LINES = '_addHeaderLines'
class Received extends IncomingMessage {
  declare readonly [ADD_HEADER_LINES]: (rawHeaders: readonly string[], count: number) => void
}

/** Returns what Node makes of the same headers. */
function headersOf(rawHeaders: readonly string[]): IncomingMessage['headers'] {
  const incoming = new Received(new Socket())
  incoming[ADD_HEADER_LINES](rawHeaders, rawHeaders.length)
  return incoming.headers
}

describe('the headers of a check', () => {
  const spelled = (names: readonly string[]) =>
    fc
      .tuple(fc.constantFrom(...names), fc.constantFrom('', 'lower', 'UPPER'))
      .map(([name, how]) =>
        how === '' ? name : how === 'lower' ? name.toLowerCase() : name.toUpperCase(),
      )
  const line = (names: readonly string[]) => fc.tuple(spelled(names), anyText)

  test('are what Node makes of them, however they are spelled and however often they come', () => {
    const any = fc.array(line([...NAMES, ...OTHERS, 'Authorization']), { maxLength: 12 })
    holds(1000, [any], (lines) => {
      const found = scanHeaders(lines.flat())
      const headers = headersOf(lines.flat())
      for (const [name, field] of Object.entries(FIELDS)) {
        const sent = headers[name.toLowerCase()]
        const isDoubled = SINGLE.includes(name) && String(sent).includes(', ')
        if (!isDoubled) expect(found[field], name).toBe(sent)
      }
      const tokens = lines.filter(([name]) => name.toLowerCase() === 'authorization')
      expect(found.authorizations).toEqual(tokens.map(([, value]) => value))
      expect(found.alias).toBeUndefined()
    })
  })

  test('that may come once are ambiguous when they come twice, also with the same value', () =>
    holds(200, [line(SINGLE), fc.array(line(OTHERS)), anyText], ([name, value], others, again) => {
      const between = [[name, value], ...others]
      expect(scanHeaders(between.flat()).ambiguity).toBeUndefined()
      for (const second of [value, again]) {
        const twice = [...between, [name.toLowerCase(), second], ['X-HTTP-Method', 'GET']]
        const ambiguity = { name: name.toLowerCase(), fault: 'doubled' }
        expect(scanHeaders(twice.flat()).ambiguity).toEqual(ambiguity)
      }
    }))

  test.for(words`
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override x_http_method X.Method.Override
  `)('that override the method are ambiguous: %s', (name) =>
    expect(scanHeaders([name, 'DELETE']).ambiguity).toEqual({ name, fault: 'override' }),
  )

  test('are cookies in one line where HTTP/2 sends each by itself', () =>
    expect(scanHeaders(words`cookie a=1 :path /auth cookie b=2 cookie a=3`).cookie).toBe(
      'a=1; b=2; a=3',
    ))
})

describe('another spelling of a trusted header (A09, A29)', () => {
  const scan = createHeaderScan(['X-Auth-Request-User', 'Remote-User'])

  test('values are not names', () =>
    expect(scan(['Accept', 'X_Auth_Request_User']).alias).toBeUndefined())

  test('where nothing is guarded nothing is found', () =>
    expect(scanHeaders(['X_Forwarded_Host', 'x']).alias).toBeUndefined())

  test('every trusted name with any of its dashes replaced is found', () => {
    const guarded = ['X-Auth-Request-User', 'Remote-User', 'X-Forwarded-Uri', 'X-Forwarded-For']
    const any = fc.constantFrom(...guarded)
    const separator = fc.constantFrom(..."_.!#$%&'*+^`|~".split(''))
    holds(100, [any, separator, fc.nat(), fc.boolean()], (name, by, at, up) => {
      const dashes = [...name.matchAll(/-/g)].map(({ index }) => index)
      const index = dashes[at % dashes.length] as number
      const alias = name.slice(0, index) + by + name.slice(index + 1)
      const spelled = up ? alias.toUpperCase() : alias
      expect(scan([spelled, 'x', 'X_Auth_Request_User', 'y']).alias).toBe(spelled)
    })
  })

  test('a header means the same however many others were seen before, short or long', () => {
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 1500; index++) {
        const other = `X-Other-${'o'.repeat(index % 60)}-${index}`
        expect(scan([other, 'x']).alias).toBeUndefined()
      }
      expect(scan(['X_Auth_Request_User', 'x']).alias).toBe('X_Auth_Request_User')
      expect(scan(['X-Auth-Request-User', 'x']).alias).toBeUndefined()
      expect(scan(['Cookie', 'x']).cookie).toBe('x')
    }
  })
})
