import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRequestType } from '../../src/http/request-type.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

/** The method by which Node's parser hands over the headers. */
const ADD_HEADER_LINES = '_addHeaderLines'
interface Received extends IncomingMessage {
  [ADD_HEADER_LINES](rawHeaders: readonly string[], count: number): void
}

const LazyRequest = createRequestType()

function received(Type: typeof IncomingMessage, rawHeaders: readonly string[]): IncomingMessage {
  const incoming = new Type(new Socket()) as Received
  incoming.rawHeaders = [...rawHeaders]
  incoming[ADD_HEADER_LINES](rawHeaders, rawHeaders.length)
  return incoming
}

describe('headers that are made when they are read', () => {
  const name = fc.constantFrom(
    ...words`Host host HOST Cookie cookie Set-Cookie Accept X-A Upgrade constructor`,
  )
  const lines = fc.array(fc.tuple(name, anyText), { maxLength: 8 }).map((each) => each.flat())
  const reads: readonly ((headers: IncomingMessage['headers']) => unknown)[] = [
    (headers) => headers.host,
    (headers) => headers.cookie,
    (headers) => headers['x-absent'],
    (headers) => ({ ...headers }),
    (headers) => Object.keys(headers),
    (headers) => 'accept' in headers,
    (headers) => Object.hasOwn(headers, 'host'),
    (headers) => {
      headers['x-added'] = 'a'
      delete headers['x-a']
      return headers['x-added']
    },
  ]

  test('are those of Node, in whatever way and order they are read', () =>
    holds(500, [lines, fc.array(fc.constantFrom(...reads))], (rawHeaders, ways) => {
      const lazy = received(LazyRequest, rawHeaders)
      const plain = received(IncomingMessage, rawHeaders)
      const kept = lazy.headers
      for (const read of [...ways, ...reads]) {
        expect(read(lazy.headers)).toEqual(read(plain.headers))
        expect(read(kept)).toEqual(read(plain.headers))
      }
    }))

  test('are not made for the host alone', () => {
    const lazy = received(LazyRequest, ['host', 'a.example.com', 'Host', 'b.example.com'])
    expect(lazy.headers.host).toBe('a.example.com')
    // Would be in the headers if they had not been made yet.
    lazy.rawHeaders[1] = 'c.example.com'
    expect(lazy.headers.host).toBe('c.example.com')
    expect(lazy.headers['accept']).toBeUndefined()
    lazy.rawHeaders[1] = 'd.example.com'
    expect(lazy.headers.host).toBe('c.example.com')
  })
})
