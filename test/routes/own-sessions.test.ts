import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { browserWords } from '../../src/routes/own-sessions/browser-words.ts'
import { parseEndRequest } from '../../src/routes/own-sessions/end-request.ts'
import { createNotices } from '../../src/routes/own-sessions/notices.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { refusedAs } from '../support/started-sessions.ts'
import { rows } from '../support/words.ts'

const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)'
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)'
const ANDROID = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)'

describe('the words for a browser', () => {
  test.for([
    ['Firefox on Windows', 'Mozilla/5.0 (Windows NT 10.0; rv:145.0) Gecko/20100101 Firefox/145.0'],
    ['Firefox on Linux', 'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/1 Firefox/145.0'],
    ['Firefox on Android', 'Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0'],
    ['Firefox on iPhone', `${IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15`],
    ['Chrome on Windows', `${WINDOWS} Chrome/142.0.0.0 Safari/537.36`],
    ['Chrome on Android', `${ANDROID} Chrome/142.0.0.0 Mobile Safari/537.36`],
    ['Chrome on iPhone', `${IPHONE} CriOS/142.0.0.0 Mobile/15E148 Safari/604.1`],
    ['Microsoft Edge on Windows', `${WINDOWS} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0`],
    ['Opera on Windows', `${WINDOWS} Chrome/142.0.0.0 Safari/537.36 OPR/126.0.0.0`],
    ['Safari on iPhone', `${IPHONE} Version/18.5 Mobile/15E148 Safari/604.1`],
    [
      'Safari on iPad',
      'Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/604.1',
    ],
    [
      'Safari on macOS',
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
    ],
    ['Chrome on Chrome OS', 'Mozilla/5.0 (X11; CrOS x86_64 1.0) Chrome/142.0.0.0 Safari/537.36'],
    [
      'Samsung Internet for Android',
      `${ANDROID} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36`,
    ],
    ['Unknown browser on Linux', 'Foo/1.0 (X11; Linux x86_64)'],
    ['Unknown browser', undefined],
    ['Unknown browser', ''],
    ['Unknown browser', ' '],
    ['Unknown browser', 'curl/8.5.0'],
    ['Unknown browser', 'Mozilla/5.0 (visitor)'],
    ['Unknown browser', 'Evil<script>alert(1)</script>/1 x'],
    ['Unknown browser', `${'a/'.repeat(100)} ("`],
  ] as const)('are %s', ([words, userAgent]) => expect(browserWords(userAgent)).toBe(words))

  test('hold nothing that a header makes up', () => {
    const names = fc.stringMatching(/^[A-Za-z<>"'&;/().: ]{0,60}$/)
    const agents = fc.oneof(
      anyText,
      names.map((name) => `${name}/1.0 (X11; Linux) Gecko`),
    )
    holds(500, [agents], (userAgent) =>
      expect(browserWords(userAgent)).toMatch(/^[A-Z][A-Za-z -]{2,40}(?: on [A-Za-z0-9 ]{3,15})?$/),
    )
  })
})

const ID = 'A'.repeat(43)

describe('a request to end sessions', () => {
  test.for([
    [`id=${ID}`, { kind: 'one', digest: ID }],
    [`token=t&id=${ID}`, { kind: 'one', digest: ID }],
    ['others=all', { kind: 'others' }],
    ['others=all&token=t', { kind: 'others' }],
  ] as const)('%s names what is meant', ([form, asked]) =>
    expect(parseEndRequest(new URLSearchParams(form))).toEqual(asked),
  )

  test.for([
    ...rows`
      id= id others= others=ALL others=all&others=all others=all&others= token=t
      id=${ID}&others=all id=${ID}&id=${ID} id=${ID}&id=${'B'.repeat(43)} id=${ID}&token=a&token=b
      id=${ID}A id=${'A'.repeat(42)} id=${'A'.repeat(42)}! id=%20${ID} ID=${ID} id=${ID}&user=bob
      id=${ID}&token= all=true others=all&reason=operator id[]=${ID} id=${ID}&id[]= others=all&id=
    `(),
    [''] as [string],
  ])('%s is refused', ([form]) =>
    expect(() => parseEndRequest(new URLSearchParams(form))).toThrow(refusedAs('invalid_request')),
  )
})

describe('a notice of ended sessions', () => {
  const AT = Date.UTC(2026, 10, 29)
  const ring = createKeyRing([randomBytes(32)])
  const noticesAt = (now: number) => createNotices(ring, () => now)
  const sealed = (count: number) => noticesAt(AT).seal(count, 'mine')

  test('comes back to the same session within a minute, also by a clock that is behind', () => {
    for (const count of [0, 1, 10_000]) {
      for (const now of [AT, AT + 59_999, AT - 59_999])
        expect(noticesAt(now).open(sealed(count), 'mine')).toBe(count)
    }
  })

  test('is none for another session, later, or with another key', () => {
    expect(noticesAt(AT).open(sealed(1), 'other')).toBeUndefined()
    for (const now of [AT + 60_000, AT - 60_000])
      expect(noticesAt(now).open(sealed(1), 'mine')).toBeUndefined()
    const foreign = createNotices(createKeyRing([randomBytes(32)]), () => AT)
    expect(foreign.open(sealed(1), 'mine')).toBeUndefined()
  })

  test('cannot be made up', () =>
    holds(200, [anyText], (text) => expect(noticesAt(AT).open(text, 'mine')).toBeUndefined()))

  test('of any changed character is none', () => {
    const bytes = Buffer.from(sealed(3), 'base64url')
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(noticesAt(AT).open(changed.toString('base64url'), 'mine')).toBeUndefined()
    }
  })
})
