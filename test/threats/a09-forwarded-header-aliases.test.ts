import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal, readCounter } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const vestibule = prepared(() => startVestibule({ PUBLIC_PATHS: '/public/**' }))
const lenient = prepared(() =>
  startVestibule({ PUBLIC_PATHS: '/public/**', ALIAS_HEADERS: 'ignore' }),
)

const aliases: readonly (readonly [name: string, value: string])[] = [
  ['X_Forwarded_Proto', 'https'],
  ['X.Forwarded.Host', 'evil.example'],
  ...['Method', 'Proto', 'Host', 'Uri', 'For'].flatMap((part) =>
    [
      `X_Forwarded_${part}`,
      `X.Forwarded.${part}`,
      `x_forwarded-${part.toLowerCase()}`,
      `X-Forwarded_${part.toUpperCase()}`,
      `X!Forwarded!${part}`,
      `X~Forwarded~${part}`,
      `X+Forwarded+${part}`,
      `X'Forwarded'${part}`,
      `X#Forwarded$${part}`,
      `X%Forwarded&${part}`,
      `X*Forwarded^${part}`,
      `X\`Forwarded|${part}`,
    ].map((name) => [name, 'evil.example'] as const),
  ),
]

describe('A09 other spellings of forwarded headers', () => {
  test.for(aliases)('%s is refused by name and counted: %s', async ([name, value]) => {
    const before = await readCounter(vestibule(), 'alias_headers_refused')
    const script = { Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' }
    for (const uri of ['/', '/public/a']) {
      const visit = await vestibule().check({ uri }, { ...script, [name]: value })
      expectRefusal(visit, 400, ['evil.example'])
      const { error, message } = JSON.parse(visit.body) as Record<string, string>
      expect(error).toBe('alias_header')
      expect(message).toContain(name)
    }
    expect(await readCounter(vestibule(), 'alias_headers_refused')).toBe(before + 2)
  })

  test.for(aliases)('%s stands in for nothing where it is ignored: %s', async ([name]) => {
    const canonical = `X-${name.replace(/[^A-Za-z]/g, '-').slice(2)}`
    const part = canonical.slice('X-Forwarded-'.length).toLowerCase()
    const says = {
      method: 'OPTIONS',
      proto: 'http',
      host: 'evil.example',
      uri: '/public/a',
      for: 'x',
    }
    const value = says[part as keyof typeof says]
    expectLogin(
      await lenient().check({ uri: '/a' }, { [name]: value }),
      'https://app.example.com/a',
    )
    if (part === 'for') return
    const legitimate = { method: 'GET', proto: 'https', host: 'app.example.com', uri: '/public/a' }
    const instead = {
      [canonicalCase(part)]: undefined,
      [name]: legitimate[part as keyof typeof legitimate],
    }
    expectRefusal(await lenient().check({ uri: '/public/a' }, instead), 400)
  })

  test('the page of a refusal names the header, and what else it was called stays out', async () => {
    const visit = await vestibule().check({}, { X_Forwarded_Host: '"><script>alert(1)</script>' })
    expectRefusal(visit, 400, ['<script>', 'alert(1)'])
    expect(visit.headers['content-type']).toMatch(/^text\/html/)
    expect(visit.body).toContain('X_Forwarded_Host')
  })

  test.for(words`
    X-Forwarded-Port x-forwarded-server X_Custom_Header X.Forwarded.Something X_Forwarded_Hosts
    XForwardedHost My_X_Forwarded_Host
  `)('what is no alias passes: %s', async (name) => {
    expect((await vestibule().check({ uri: '/public/a' }, { [name]: 'a' })).status).toBe(200)
  })

  test('any case of the canonical names is the name itself', async () => {
    const headers = { 'x-FORWARDED-host': 'app.example.com', 'X-FORWARDED-FOR': '203.0.113.9' }
    expectLogin(await vestibule().check({}, headers), 'https://app.example.com/')
  })

  test('to ignore aliases is logged as a risk at start', () => {
    const lines = lenient()
      .log()
      .filter((line) => JSON.stringify(line).includes('ALIAS_HEADERS'))
    expect(lines.length).toBeGreaterThan(0)
    expect(JSON.stringify(vestibule().log())).not.toContain('ALIAS_HEADERS')
  })
})

const canonicalCase = (part: string): string =>
  `X-Forwarded-${part.charAt(0).toUpperCase()}${part.slice(1)}`
