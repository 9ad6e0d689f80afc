import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { type GatewayKind, gatewayKinds, givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP } from '../support/relying-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const SESSION = '__Host-vestibule'

const hosts = prepared(() =>
  startProxiedHosts({
    gateway: { addAuthCookies: ['__Host-vestibule_outage'] },
  }),
)
const shared = prepared(() => startProxiedHosts({ settings: { COOKIE_DOMAIN: 'example.com' } }))

/** The app of a host answers with this cookie; the demo's app writes `; Path=/` behind it. */
const appSets = (browser: Visitor, name: string, value: string, origin = APP): Promise<Visit> => {
  const query = new URLSearchParams({ name, value: `${value}; Secure` })
  return browser.fetch(`${origin}/set-cookie?${query.toString()}`)
}

const isSignedInAs = async (browser: Visitor, origin = APP): Promise<string | undefined> => {
  const visit = await browser.fetch(`${origin}/headers`)
  if (visit.status !== 200) return undefined
  return givenTo(givenToApp(visit), 'X-Auth-Request-User')[0]
}

const signedIn = async (
  kind: GatewayKind,
  skip: (reason: string) => void,
  sub = 'alice',
  { at = hosts(), origin = APP } = {},
) => {
  const browser = at.browser(kind, skip)
  await browser.signIn(`${origin}/headers`, sub)
  expect(await isSignedInAs(browser, origin)).toBe(sub)
  return browser
}

const planted = [
  ['nothing', ''],
  ['a word', 'attacker'],
  ['the form of a session', `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`],
  ['a later version', `v2.${'A'.repeat(43)}.${'A'.repeat(43)}`],
  ['claims', Buffer.from('{"sub":"alice"}').toString('base64url')],
  ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.'],
  ['4000 characters', 'x'.repeat(4_000)],
] as const

const cases = gatewayKinds.flatMap((kind) =>
  planted.map(([label, value]): [GatewayKind, string, string] => [kind, label, value]),
)

describe('A38 an app that writes our cookie', () => {
  // The residual risk is the documented one: an app can sign its own visitors out, or in as somebody else.
  test.for(cases)('behind %s what it makes up is no session: %s', async ([kind, , value], ctx) => {
    const browser = await signedIn(kind, ctx.skip)
    await appSets(browser, SESSION, value)
    expect(browser.cookies.find(SESSION)?.value).toBe(value)
    expect(await isSignedInAs(browser)).toBeUndefined()
  })

  test.for(gatewayKinds)('behind %s one sign-in heals it', async (kind, ctx) => {
    const browser = await signedIn(kind, ctx.skip)
    await appSets(browser, SESSION, 'attacker')
    const last = await browser.browse(`${APP}/headers`)
    expect(last.status).toBe(200)
    expect(await isSignedInAs(browser)).toBe('alice')
  })

  test.for(gatewayKinds)(
    'behind %s a session that an attacker owns is theirs, never the victim’s',
    async (kind, ctx) => {
      const attacker = await signedIn(kind, ctx.skip, 'bob')
      const victim = await signedIn(kind, ctx.skip, 'alice')
      const theirs = attacker.cookies.find(SESSION)?.value ?? ''
      await appSets(victim, SESSION, theirs)
      expect(await isSignedInAs(victim)).toBe('bob')
      const me = await victim.fetch(`${APP}/oauth2/me`)
      expect(JSON.parse(me.body)).toMatchObject({ sub: 'bob' })
      expect(me.body).not.toContain('alice')
    },
  )

  test.for(gatewayKinds)('behind %s a session of another host is none here', async (kind, ctx) => {
    const browser = await signedIn(kind, ctx.skip)
    const other = 'https://other.example.com'
    const elsewhere = await signedIn(kind, ctx.skip, 'bob', { origin: other })
    await appSets(browser, SESSION, elsewhere.cookies.find(SESSION)?.value ?? '')
    expect(await isSignedInAs(browser)).toBeUndefined()
  })

  test.for(gatewayKinds)(
    'behind %s an app of another host cannot write it at all',
    async (kind, ctx) => {
      const browser = await signedIn(kind, ctx.skip)
      const other = 'https://other.example.com'
      await browser.signIn(`${other}/headers`, 'alice')
      for (const value of ['x; Domain=example.com', 'x; Domain=app.example.com']) {
        const visit = await appSets(browser, SESSION, value, other)
        expect(visit.refusedCookies.join()).toContain(SESSION)
      }
      expect(await isSignedInAs(browser)).toBe('alice')
    },
  )

  test.for(gatewayKinds)(
    'behind %s an app may not write what only the check writes',
    async (kind, ctx) => {
      const browser = await signedIn(kind, ctx.skip)
      const visit = await appSets(browser, '__Host-vestibule_outage', 'x')
      // The check sets no cookie on this answer, and then Traefik lets the app's pass: it must be worth nothing.
      expect(visit.status).toBe(200)
      browser.cookies.remove(SESSION)
      expect(browser.cookies.find('__Host-vestibule_outage')?.value).toBe('x')
      expect(await isSignedInAs(browser)).toBeUndefined()
    },
  )

  test.for(gatewayKinds)(
    'behind %s a binding that an app makes up spoils no later sign-in',
    async (kind, ctx) => {
      const browser = await signedIn(kind, ctx.skip)
      for (const value of [
        'x',
        `v1.${'A'.repeat(43)}.0.0`,
        `v1.${'A'.repeat(43)}.999.999999999999`,
      ]) {
        await appSets(browser, '__Host-vestibule_login', value)
        browser.cookies.remove(SESSION)
        const last = await browser.browse(`${APP}/headers`)
        const shown = last.status === 400 ? await browser.browse(`${APP}/headers`) : last
        expect(shown.status).toBe(200)
        expect(await isSignedInAs(browser)).toBe('alice')
      }
    },
  )
})

describe('A38 with COOKIE_DOMAIN', () => {
  const NAME = '__Secure-vestibule'
  const OTHER = 'https://other.example.com'

  test.for(gatewayKinds)(
    'behind %s a second cookie makes a page that removes both, never a guess',
    async (kind, ctx) => {
      const browser = await signedIn(kind, ctx.skip, 'alice', { at: shared() })
      const own = browser.cookies.find(NAME)?.value ?? ''
      for (const pair of [`${NAME}=x; ${NAME}=${own}`, `${NAME}=${own}; ${NAME}=x`]) {
        const page = await browser.get(`${APP}/headers`, { headers: { Cookie: pair } })
        expect(page.status).toBe(400)
        const names = new Set(page.setCookies.map((line) => line.split('=')[0] ?? ''))
        expect(names).toEqual(new Set(['__Host-vestibule', NAME]))
        for (const line of page.setCookies) expect(line).toMatch(/Max-Age=0/)
        const script = await browser.fetch(`${APP}/headers`, { headers: { Cookie: pair } })
        expect([script.status, script.setCookies]).toEqual([401, []])
      }
    },
  )

  test.for(gatewayKinds)(
    'behind %s an app of a sibling host can plant its own session and no other',
    async (kind, ctx) => {
      const victim = await signedIn(kind, ctx.skip, 'alice', { at: shared() })
      await victim.fetch(`${OTHER}/headers`)
      const made = await appSets(victim, NAME, 'x; Domain=example.com', OTHER)
      expect(made.status).toBe(200)
      expect(await isSignedInAs(victim)).toBeUndefined()
      const attacker = await signedIn(kind, ctx.skip, 'bob', { at: shared() })
      const healed = await victim.browse(`${OTHER}/headers`)
      expect(healed.status).toBe(200)
      const theirs = attacker.cookies.find(NAME)?.value ?? ''
      await appSets(victim, NAME, `${theirs}; Domain=example.com`, OTHER)
      expect(await isSignedInAs(victim)).toBe('bob')
    },
  )

  test.for(gatewayKinds)(
    'behind %s a host-only twin from a sibling is not read',
    async (kind, ctx) => {
      const browser = await signedIn(kind, ctx.skip, 'alice', { at: shared() })
      await appSets(browser, '__Host-vestibule', 'x')
      expect(await isSignedInAs(browser)).toBe('alice')
    },
  )
})
