import { describe, expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

/** An object with a member of its own under a name that every object inherits. */
const own = (json: string): Readonly<Record<string, unknown>> => JSON.parse(json) as never

const impostors: readonly Readonly<Record<string, unknown>>[] = [
  ...words`
    ["administrators"] "administrators" ["admi"] ["Admin","ADMIN"]
    ["\x20admin","admin\x20","admin\\n","\\tadmin"] ["admin\\u0000"] ["ad\\u0001min"]
    ["аdmin","ａdmin","admın","ADMİN"] ["/admin","admin/","x/admin"] ["*","adm*",".*","%"]
    ["users,admin"] ["users%2Cadmin"] ["users\\r\\nadmin"] "users,admin" "users\x20admin" {"admin":false} {"0":"admin","length":1}
    [{"admin":true},{"id":"admin","toString":"admin"}] [["admin"]] [0,1,17] true [true] null
    [null] []
  `.map((groups) => ({ groups: JSON.parse(groups) as unknown })),
  { Groups: ['admin'], group: 'admin', roles: ['admin'] },
  { 'groups.0': 'admin', 'x.groups': ['admin'] },
  own('{"__proto__":{"groups":["admin"]}}'),
  own('{"constructor":{"prototype":{"groups":["admin"]}}}'),
  {},
]

/** Claims under which `boss@example.com` does not count, beside that address where they name no other. */
const mailed: readonly Readonly<Record<string, unknown>>[] = [
  ...words`"TRUE" 1 [true] {} "false" false null`.map((verified) => ({
    email_verified: JSON.parse(verified) as unknown,
  })),
  {},
  { email: ['boss@example.com'], email_verified: true },
  { email: { 0: 'boss@example.com' }, email_verified: true },
  { email: 'x@example.com', mail: 'boss@example.com', email_verified: true },
  { email: 'x@example.com', preferred_username: 'boss@example.com', email_verified: true },
  { email: 'x@example.com', name: 'boss@example.com', upn: 'boss@example.com' },
]

const users = [
  ...demoUsers,
  { sub: 'bare' },
  { sub: 'admin', groups: ['users', 'admin'] },
  { sub: 'admin-as-text', groups: 'admin' },
  { sub: 'boss', email: 'Boss@Example.com', email_verified: true },
  { sub: 'boss@example.com' },
]

const party = useParty(
  { ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'admin', ALLOWED_EMAILS: 'boss@example.com' },
  { users },
)

async function statusOf(sub: string): Promise<number> {
  const { browser } = await party.attempt(sub)
  expect(cookieHeader(browser)).toContain('__Host-vestibule=')
  return (await party.checkWith(browser)).status
}

/** Works while the provider says nothing but these claims of anybody. */
async function withClaims<T>(
  { provider }: RelyingParty,
  claims: Readonly<Record<string, unknown>>,
  work: () => Promise<T>,
): Promise<T> {
  provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, ...claims }) })
  try {
    return await work()
  } finally {
    provider.reset()
  }
}

describe('A35 claim confusion', () => {
  test.for(impostors)('a group counts only by its exact name: %j', async (claims) =>
    expect(await withClaims(party, claims, () => statusOf('bare'))).toBe(403),
  )

  test.for(mailed)('an address counts only when email_verified is true: %j', async (claims) => {
    const all = { email: 'boss@example.com', ...claims }
    expect(await withClaims(party, all, () => statusOf('bare'))).toBe(403)
  })

  test.for(['admin', 'admin-as-text', 'boss'])(
    'the true group or address enters: %s',
    async (sub) => expect(await statusOf(sub)).toBe(200),
  )

  test('a subject that looks like an address does not count as one', async () =>
    expect(await statusOf('boss@example.com')).toBe(403))

  test('an address that does not count is not given to apps', async () => {
    await using open = await startRelyingParty({}, { users })
    for (const claims of mailed) {
      const label = JSON.stringify(claims)
      const all = { email: 'boss@example.com', ...claims }
      const { identity } = await withClaims(open, all, () => open.attempt('bare'))
      expect(identity?.['x-auth-request-user'], label).toBe('bare')
      expect(identity?.['x-auth-request-email'], label).not.toContain('boss')
    }
    expect((await open.attempt('boss')).identity?.['x-auth-request-email']).toBe('Boss@Example.com')
  })

  test('OIDC_TRUST_EMAIL lets addresses count as they are, and lists of them still not', async () => {
    await using trusting = await startRelyingParty(
      { ALLOW_ANY_USER: 'false', ALLOWED_EMAILS: 'boss@example.com', OIDC_TRUST_EMAIL: 'true' },
      { users },
    )
    const enters = async (claims: Readonly<Record<string, unknown>>) => {
      const all = { email: 'boss@example.com', ...claims }
      return (await withClaims(trusting, all, () => trusting.attempt('bare'))).isSignedIn
    }
    expect([await enters({}), await enters({ email_verified: false })]).toEqual([true, true])
    for (const claims of mailed.filter(({ email }) => email && typeof email === 'object')) {
      expect(await enters(claims), JSON.stringify(claims)).toBe(false)
    }
    expect(await enters({ email: 'x@example.com', mail: 'boss@example.com' })).toBe(false)
  })

  test('UserInfo of another subject is refused', async () => {
    party.provider.set('userinfo', {
      rewrite: (all) => ({ ...all, sub: 'admin', groups: ['admin'] }),
    })
    const { answer, isSignedIn } = await party.attempt('alice')
    party.provider.reset()
    expect(isSignedIn).toBe(false)
    expect([400, 502]).toContain(answer.status)
    expect(answer.setCookies.filter((line) => line.startsWith('__Host-vestibule='))).toEqual([])
  })

  test('two subjects with one address stay two users', async () => {
    const address = { email: 'one@example.com', email_verified: true }
    const both = [
      { sub: 'first', ...address },
      { sub: 'second', ...address },
    ]
    await using open = await startRelyingParty({}, { users: both })
    const named = async (sub: string) => (await open.attempt(sub)).identity?.['x-auth-request-user']
    expect([await named('first'), await named('second')]).toEqual(['first', 'second'])
  })
})

describe('A35 claim paths', () => {
  const inherited = words`
    __proto__ constructor constructor.name constructor.prototype prototype toString hasOwnProperty
    __proto__.polluted valueOf.name groups.constructor name.length groups.map
  `

  test('a path finds own members only (A92)', async () => {
    const names = inherited.map((claim, index) => `X-Odd-${index}=${claim}`)
    await using odd = await startRelyingParty({ IDENTITY_HEADERS: names.join(',') })
    const { identity } = await odd.attempt('alice')
    expect(identity?.['x-auth-request-user']).toBe('alice')
    for (const [index, claim] of inherited.entries()) {
      expect(identity?.[`x-odd-${index}`], claim).toBe('')
    }
    expect((await odd.vestibule.check({ uri: '/x' })).status).toBe(302)
  })

  test.for(words`__proto__ constructor.name groups.map`)('gives no groups: %s', async (claim) => {
    await using odd = await startRelyingParty({ OIDC_GROUPS_CLAIM: claim })
    const { identity } = await odd.attempt('alice')
    expect(identity?.['x-auth-request-user']).toBe('alice')
    expect(identity?.['x-auth-request-groups']).toBe('')
  })

  test('a member of that name which the provider did send is a claim like any other', async () => {
    await using odd = await startRelyingParty({
      IDENTITY_HEADERS: 'X-Proto=__proto__,X-Maker=constructor,X-Deep=a.__proto__.b,X-Flat=x.y',
      OIDC_GROUPS_CLAIM: 'realm_access.roles',
    })
    const more = own(
      '{"__proto__":"p","constructor":"c","a":{"__proto__":{"b":"deep"}},"x.y":"flat","x":{"y":"nested"},"realm_access":{"roles":["r1","r2"]}}',
    )
    odd.provider.set('userinfo', { rewrite: (body) => ({ ...body, ...more }) })
    const { identity, browser } = await odd.attempt('alice')
    expect(identity).toMatchObject({
      'x-proto': 'p',
      'x-maker': 'c',
      'x-deep': 'deep',
      'x-flat': 'flat',
      'x-auth-request-groups': 'r1,r2',
      'x-auth-request-user': 'alice',
    })
    expect((await browser.fetch(`${APP}/oauth2/me`)).status).toBe(200)
  })
})
