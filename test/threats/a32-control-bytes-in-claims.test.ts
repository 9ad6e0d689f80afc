import { describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { describeBrowsers } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { rawCheck, rawValues } from '../support/raw-check.ts'
import { APP } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

/** Name that the provider sends, and the one that an app may get. */
const names: readonly (readonly [string, string, string])[] = [
  ['CR and LF', 'a\r\nX-Admin: 1', 'aX-Admin: 1'],
  ['an empty line and a second answer', 'a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', 'aHTTP/1.1 200 OK'],
  ['LF alone', 'a\nX-Admin: 1', 'aX-Admin: 1'],
  ['CR alone', 'a\rX-Admin: 1', 'aX-Admin: 1'],
  ['NUL', 'a\0b', 'ab'],
  ['a tab', 'a\tb', 'ab'],
  ['a vertical tab and a form feed', 'a\v\fb', 'ab'],
  ['an escape sequence', '\x1b[2Ja', '[2Ja'],
  ['DEL', 'a\x7fb', 'ab'],
  ['C1 with NEL', 'a\x80\x85\x9fb', 'ab'],
  ['line and paragraph separators', 'a\u2028b\u2029c', 'abc'],
  ['an emoji', 'Ada 🦊', 'Ada 🦊'],
  ['joined emoji', '👩‍💻', '👩‍💻'],
  ['letters that end in the bytes of CR and LF', 'čĊ嘊嘍', 'čĊ嘊嘍'],
  ['umlauts', 'Jürgen Müßig', 'Jürgen Müßig'],
  ['a lone high surrogate', 'a\ud800b', 'a\ufffdb'],
  ['a lone low surrogate', 'a\udc00b', 'a\ufffdb'],
  ['surrogates in the wrong order', '\udc00\ud800', '\ufffd\ufffd'],
  ['blanks around it', '  a  ', 'a'],
  ['nothing but blanks', '   ', ''],
  ['nothing but controls', '\r\n\0', ''],
  ['a byte order mark', '\ufeffa', 'a'],
  ['nothing', '', ''],
  ['an encoded line break', 'a%0d%0aX-Admin: 1', 'a%0d%0aX-Admin: 1'],
  ['an encoded word', '=?utf-8?q?a=0D=0A?=', '=?utf-8?q?a=0D=0A?='],
]

const users = names.flatMap(([, value], index) => [
  {
    sub: `user-${index}`,
    name: value,
    preferred_username: value,
    email: `${value}@example.com`,
    email_verified: true,
    groups: [value, 'staff'],
    title: value,
  },
])

const party = useParty({ IDENTITY_HEADERS: 'X-Title=title' }, { users: [...demoUsers, ...users] })

const OURS = words`
  X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Preferred-Username X-Auth-Request-Name
  X-Auth-Request-Groups X-Title
`
const FRAMING = ['content-length', 'date', 'connection', 'keep-alive']

describe('A32 control bytes in claims', () => {
  test.for(names.map((row, index) => [...row, index] as const))(
    '%s: the answer is whole and its values are visible text',
    async ([, , shown, index]) => {
      const cookie = await party.vestibule.signIn(`user-${index}`)
      const answer = await rawCheck(party.vestibule, cookie)
      expect([answer.status, answer.body]).toEqual([200, ''])
      const sent = answer.headers.map(([name]) => name.toLowerCase())
      const known = new Set([...OURS.map((name) => name.toLowerCase()), ...FRAMING])
      expect(sent.filter((name) => !known.has(name))).toEqual([])
      for (const name of OURS) expect(rawValues(answer, name), name).toHaveLength(1)

      expect(rawValues(answer, 'X-Auth-Request-User')).toEqual([`user-${index}`])
      for (const name of ['Name', 'Preferred-Username']) {
        expect(rawValues(answer, `X-Auth-Request-${name}`)).toEqual([shown])
      }
      expect(rawValues(answer, 'X-Title')).toEqual([shown])
      const member = shown.replaceAll('%', '%25').replaceAll(',', '%2C')
      expect(rawValues(answer, 'X-Auth-Request-Groups')).toEqual([
        member === '' ? 'staff' : `${member},staff`,
      ])
    },
  )

  test('the answer is the same from memory as it was from the store', async () => {
    const cookie = await party.vestibule.signIn('user-0')
    const first = await rawCheck(party.vestibule, cookie)
    const second = await rawCheck(party.vestibule, cookie)
    const values = OURS.map((name) => rawValues(first, name))
    expect(OURS.map((name) => rawValues(second, name))).toEqual(values)
  })

  test('a subject of control bytes does not split the answer', async () => {
    const subject = 'alice\r\nX-Admin: 1'
    party.provider.tamperIdToken({
      sub: subject,
      email: 'alice@example.com',
      email_verified: true,
      name: 'Alice',
      preferred_username: 'alice',
      groups: ['staff'],
      title: 'x',
    })
    const { browser, answer } = await party.attempt()
    party.provider.reset()
    expect([302, 400]).toContain(answer.status)
    const checked = await rawCheck(party.vestibule, browser.cookies.header(new URL(APP)) ?? '')
    expect(checked.headers.map(([name]) => name.toLowerCase())).not.toContain('x-admin')
    expect(rawValues(checked, 'X-Auth-Request-User').join()).not.toMatch(/[\r\n]/)
  })

  test('what a user may read of themselves is JSON in which nothing is lost', async () => {
    for (const [index, [, value]] of names.entries()) {
      const { browser } = await party.attempt(`user-${index}`)
      const me = await browser.fetch(`${APP}/oauth2/me`)
      expect(me.status).toBe(200)
      const claims = JSON.parse(me.body) as Record<string, unknown>
      expect(claims['sub']).toBe(`user-${index}`)
      expect(claims['name'] ?? '').toBe(value)
    }
  })
})

const hosts = prepared(() => startProxiedHosts({ provider: { users: [...demoUsers, ...users] } }))

describeBrowsers('A32 control bytes in claims', hosts, (openBrowser) => {
  test.for([0, 1, 4, 11, 13, 15].map((index) => [names[index]?.[0], index] as const))(
    'the app gets one visible name: %s',
    async ([, index]) => {
      const browser = openBrowser()
      await browser.signIn(`${APP}/`, `user-${index}`)
      const visit = await browser.fetch(`${APP}/headers`, { headers: { 'X-Admin': 'mine' } })
      const app = givenToApp(visit)
      expect(givenTo(app, 'X-Auth-Request-Name')).toEqual([names[index]?.[2]])
      expect(givenTo(app, 'X-Auth-Request-User')).toEqual([`user-${index}`])
      expect(givenTo(app, 'X-Admin')).toEqual(['mine'])
    },
  )
})
