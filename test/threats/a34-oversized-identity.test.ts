import { describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { describeBrowsers } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { rawCheck } from '../support/raw-check.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'

const many = (count: number) => Array.from({ length: count }, (_, n) => `group-number-${n}-of-many`)

const G500 = 'g'.repeat(500)

const users = [
  ...demoUsers,
  { sub: 'many-groups', groups: many(2000) },
  { sub: 'one-group', groups: ['g'.repeat(60_000)] },
  { sub: 'long-name', name: 'n'.repeat(20_000) },
  { sub: 'long-title', title: 't'.repeat(20_000) },
  { sub: 'long-team', name: 'n'.repeat(100), team: 't'.repeat(20_000) },
  { sub: 'wide-name', name: '🦊'.repeat(2_100) },
  { sub: 'commas', groups: [','.repeat(3_000)] },
  { sub: 'sum', name: 'n'.repeat(4_000), preferred_username: 'p'.repeat(4_000), groups: [G500] },
  { sub: 'large', groups: many(250) },
  { sub: 'dropped', name: '\n'.repeat(50_000) },
]

const oversized = [
  ['many-groups', 'groups'],
  ['one-group', 'groups'],
  ['long-name', 'name'],
  ['long-title', 'title'],
  ['long-team', 'team'],
  ['wide-name', 'name'],
  ['commas', 'groups'],
  ['sum', 'name'],
] as const

const party = useParty({ IDENTITY_HEADERS: 'X-Title=title,X-Team="{name} of {team}"' }, { users })

const NAVIGATION = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' }
const SCRIPT = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

describe('A34 identity headers that are too large', () => {
  test.for(oversized)('%s: 403 that names the claim %s and the setting', async ([sub, claim]) => {
    const cookie = await party.vestibule.signIn(sub)
    const page = await party.check({}, { Cookie: cookie, ...NAVIGATION })
    const json = await party.check({}, { Cookie: cookie, ...SCRIPT })
    for (const visit of [page, json]) {
      const { status, headers, setCookies, location } = visit
      expect([status, setCookies, location]).toEqual([403, [], undefined])
      expect(headers['cache-control']).toBe('no-store')
      expect(visit.body).toContain('IDENTITY_HEADERS_MAX_BYTES')
      expect(visit.body).toContain(claim)
      expect(visit.body.length).toBeLessThan(4_000)
      expect(Object.keys(headers).join('\n')).not.toMatch(/^x-auth-|^x-title|^x-team/m)
    }
    expect(page.headers['content-type']).toMatch(/^text\/html/)
    expect(JSON.parse(json.body)).toMatchObject({ error: 'claims_too_large' })
  })

  test('groups below the limit are all given, and none is cut', async () => {
    const visit = await party.check({}, { Cookie: await party.vestibule.signIn('large') })
    expect([visit.status, visit.headers['x-auth-request-groups']]).toEqual([200, many(250).join()])
  })

  test('characters that are dropped do not count', async () => {
    const visit = await party.check({}, { Cookie: await party.vestibule.signIn('dropped') })
    expect([visit.status, visit.headers['x-auth-request-name']]).toEqual([200, ''])
  })

  test('the user is not signed out by it, and is refused from memory as from the store', async () => {
    const cookie = await party.vestibule.signIn('many-groups')
    for (let round = 0; round < 3; round += 1) {
      expect((await rawCheck(party.vestibule, cookie)).status).toBe(403)
    }
    const { browser } = await party.attempt('many-groups')
    expect((await browser.fetch(`${APP}/oauth2/me`)).status).toBe(200)
  })

  test('a public page still opens for such a user, without identity', async () => {
    await using open = await startRelyingParty({ PUBLIC_PATHS: '/public/**' }, { users })
    const cookie = await open.vestibule.signIn('many-groups')
    const visit = await open.vestibule.check({ uri: '/public/a' }, { Cookie: cookie })
    expect([visit.status, visit.headers['x-auth-request-groups']]).toEqual([200, ''])
    expect((await open.vestibule.check({ uri: '/a' }, { Cookie: cookie })).status).toBe(403)
  })

  test('the refusal is counted and logged without the claim', async () => {
    const { body } = await party.vestibule.internal('/metrics')
    const refused = /^vestibule_checks_total\{[^}]*outcome="refused"[^}]*\} (\d+)/m.exec(body)?.[1]
    expect(Number(refused)).toBeGreaterThanOrEqual(oversized.length)
    const lines = party.vestibule.log().filter(({ code }) => code === 'claims_too_large')
    expect(lines.length).toBeGreaterThanOrEqual(oversized.length)
    expect(JSON.stringify(lines)).not.toMatch(/group-number|nnnn|gggg|tttt/)
  })

  test('the limit is a setting, and each side of it is exact', async () => {
    const fixed = 'X-Auth-Request-UserX-Auth-Request-EmailX-Auth-Request-Preferred-Username'
    const rest = 'X-Auth-Request-NameX-Auth-Request-Groupslast'
    const room = 1_000 - fixed.length - rest.length
    const exact = { sub: 'last', name: 'n'.repeat(room) }
    const above = { sub: 'more', name: 'n'.repeat(room + 1) }
    const settings = { IDENTITY_HEADERS_MAX_BYTES: '1000' }
    await using small = await startRelyingParty(settings, { users: [exact, above] })
    const ask = async (sub: string) => {
      return (await small.vestibule.check({}, { Cookie: await small.vestibule.signIn(sub) })).status
    }
    expect([await ask('last'), await ask('more')]).toEqual([200, 403])
  })
})

const hosts = prepared(() =>
  startProxiedHosts({
    // Node's own limit for headers is 16 KiB, and the demo's app keeps it.
    settings: { IDENTITY_HEADERS_MAX_BYTES: '14000' },
    provider: { users: [...users, { sub: 'very-large', groups: many(500) }] },
  }),
)

describeBrowsers('A34 identity headers that are too large', hosts, (browser) => {
  test('the refusal is handed on, and the app sees nothing', async () => {
    const page = await browser().signIn(`${APP}/`, 'many-groups')
    expect(page.status).toBe(403)
    expect(page.body).toContain('IDENTITY_HEADERS_MAX_BYTES')
  })

  test('identity headers below a higher limit reach the app', async () => {
    const large = browser()
    await large.signIn(`${APP}/`, 'very-large')
    const app = givenToApp(await large.fetch(`${APP}/headers`))
    expect(givenTo(app, 'X-Auth-Request-Groups')).toEqual([many(500).join()])
  })
})
