import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeHeaderValue, encodeListValue, isFaithful } from '../../src/core/header-value.ts'
import { anyText } from '../support/any-text.ts'

const anyValue = fc.oneof(
  anyText,
  fc
    .array(fc.constantFrom('\r', '\n', '\0', '\u2028', '\u2029', '\u0085', '\ud800', 'é', ' ', 'a'))
    .map((parts) => parts.join('')),
)

function isDropped(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029
}

/** Returns the text that a person would see. */
function visibleOf(text: string): string {
  return Array.from(text.toWellFormed())
    .filter((character) => !isDropped(character.codePointAt(0) ?? 0))
    .join('')
    .trim()
}

function decode(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8')
}

let server: Server
let answered: readonly string[] = []

beforeAll(async () => {
  server = createServer((_, outgoing) => {
    for (const [index, value] of answered.entries()) outgoing.setHeader(`X-Value-${index}`, value)
    outgoing.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

/** Sends the values through a socket and returns them as they arrive. */
async function throughServer(values: readonly string[]): Promise<(string | undefined)[]> {
  answered = values
  const { port } = server.address() as AddressInfo
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent: false }, resolve).on('error', reject)
  })
  answer.resume()
  return values.map((_, index) => answer.headers[`x-value-${index}`] as string | undefined)
}

describe('one header value', () => {
  test.for([
    ['', ''],
    ['Alice', 'Alice'],
    ['Alice  B. (x) "y", z;=%', 'Alice  B. (x) "y", z;=%'],
    [' Alice ', 'Alice'],
    ['a\r\nX-Auth-Request-Groups: admins', 'aX-Auth-Request-Groups: admins'],
    ['a\0b\u007fc\u0085d', 'abcd'],
    ['a\u2028b\u2029c', 'abc'],
    ['\t\t', ''],
    ['\u00a0', ''],
  ])('%j becomes %j', ([text = '', expected], { expect }) => {
    expect(encodeHeaderValue(text)).toBe(expected)
  })

  test.for([
    ['é', 'é'],
    ['Zoë 🐈', 'Zoë 🐈'],
    ['à', 'à'],
    ['\ud800x', '\ufffdx'],
    ['x\udc00', 'x\ufffd'],
  ])('%j travels as the UTF-8 bytes of %j', ([text = '', expected], { expect }) => {
    expect(decode(encodeHeaderValue(text))).toBe(expected)
  })

  test('no string makes it throw, and every result holds visible ASCII and bytes from 0x80 alone', () => {
    fc.assert(
      fc.property(anyValue, (text) => {
        const value = encodeHeaderValue(text)
        expect(value).toMatch(/^[\x20-\x7e\x80-\xff]*$/)
        expect(value).not.toMatch(/^ | $/)
        expect(decode(value)).toBe(visibleOf(text))
        expect(new Headers({ 'X-Value': value }).get('X-Value')).toBe(value)
      }),
      { numRuns: 2000 },
    )
  })

  test('what a server of Node writes is what a client reads', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyValue, { minLength: 40, maxLength: 60 }), async (texts) => {
        const received = await throughServer(texts.map(encodeHeaderValue))
        expect(received.map((value) => decode(value ?? 'missing'))).toEqual(texts.map(visibleOf))
      }),
      { numRuns: 25 },
    )
  })
})

describe('a list as one header value', () => {
  test.for<[readonly string[], string]>([
    [[], ''],
    [['admins'], 'admins'],
    [['a', 'b'], 'a,b'],
    [['a,admins', 'b'], 'a%2Cadmins,b'],
    [['100%', '%2C'], '100%25,%252C'],
    [['', 'a', '\r\n', ' b '], 'a,b'],
  ])('%j becomes %j', ([members, expected], { expect }) => {
    expect(encodeListValue(members)).toBe(expected)
  })

  test('no member can become two or another one', () => {
    fc.assert(
      fc.property(fc.array(anyValue, { maxLength: 6 }), (members) => {
        const value = encodeListValue(members)
        const read = (value === '' ? [] : value.split(',')).map((member) =>
          decode(member.replaceAll('%2C', ',').replaceAll('%25', '%')),
        )
        expect(read).toEqual(members.map(visibleOf).filter((member) => member !== ''))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a value that reaches an app as it is', () => {
  test.for<[string, boolean]>([
    ['alice', true],
    ['Älice Ünïcode 42', true],
    ['', true],
    [' alice', false],
    ['alice ', false],
    ['ali\nce', false],
    ['ali\u2028ce', false],
    ['ali\u0085ce', false],
    ['ali\ud800ce', false],
  ])('%j: %s', ([value, expected], { expect }) => {
    expect(isFaithful(value)).toBe(expected)
  })
})
