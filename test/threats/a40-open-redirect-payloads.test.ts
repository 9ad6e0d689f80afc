import { expect, test } from 'vitest'
import { openRedirects } from '../support/open-redirects.ts'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { expectKnownLocations, expectRefusedReturn, rdQuery } from '../support/return-to.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'

const { sut } = returnAddressTables()

const payloads = [...openRedirects()]
const IN_PARALLEL = 16

const inParallel = async <T>(items: readonly T[], work: (item: T) => Promise<void>) => {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: IN_PARALLEL }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}

/** Every n-th, so that each idea is in the sample. */
const everyNth = <T>(items: readonly T[], count: number): readonly T[] => {
  const step = Math.max(1, Math.floor(items.length / count))
  return items.filter((_, index) => index % step === 0)
}

const isRefused = ({ status }: Visit): boolean => status === 400

const accepted: string[] = []

test('the list is long and has no address twice', () => {
  expect(payloads.length).toBeGreaterThan(700)
  expect(new Set(payloads.map(({ rd }) => rd)).size).toBe(payloads.length)
})

test('each is refused with a page or leads to the provider, and only harmless ones do the latter', async () => {
  await inParallel(payloads, async ({ idea, rd }) => {
    const visit = await sut().login(rdQuery(rd))
    const shown = `${idea}: ${JSON.stringify(rd)}`
    if (isRefused(visit)) return expectRefusedReturn(visit)
    expect(visit.status, shown).toBe(302)
    expect(visit.location, shown).toMatch(`${sut().party.provider.issuer}/auth?`)
    expect(visit.location, shown).not.toContain('evil.example')
    accepted.push(rd)
  })
  // Accepted payloads are paths of this host; a path that contains a host name is still a path.
  for (const rd of accepted) expect(rd).toMatch(/^(?:\/(?!\/)|https:\/\/app\.example\.com\/)/)
  expect(accepted.length).toBeGreaterThan(0)
  expect(accepted.length).toBeLessThan(payloads.length / 4)
})

test('encoded twice, each is refused: nothing is decoded twice', async () =>
  inParallel(everyNth(payloads, 300), async ({ idea, rd }) => {
    const twice = encodeURIComponent(rdQuery(rd).slice('?rd='.length))
    const visit = await sut().login(`?rd=${twice}`)
    if (isRefused(visit)) return expectRefusedReturn(visit)
    expectKnownLocations([visit], sut().party.provider.issuer)
    expect(rdQuery(rd), `${idea}: ${JSON.stringify(rd)}`).toMatch(/^\?rd=[A-Za-z0-9.~*-]*$/)
  }))

test('a sign-in that began with one of them ends at a path of this host', async () => {
  const sample = everyNth(accepted.toSorted(), 60)
  await inParallel(sample, async (rd) => {
    const { target, trail } = await sut().land(rdQuery(rd))
    expectKnownLocations(trail, sut().party.provider.issuer)
    expect(target, JSON.stringify(rd)).toMatch(/^https:\/\/app\.example\.com\/(?!\/)/)
    expect(target, JSON.stringify(rd)).toBe(new URL(target ?? '').href)
  })
  expect(sample.length).toBeGreaterThanOrEqual(30)
})

test('with one PUBLIC_URL for all hosts the way there stays among them', async () => {
  await using central = await startVestibule({
    PUBLIC_URL: 'https://auth.example.com',
    COOKIE_DOMAIN: 'example.com',
  })
  const browser = central.visitor(['app.example.com', 'auth.example.com'])
  let redirected = 0
  for (const { rd } of everyNth(payloads, 300)) {
    const target = `/oauth2/login${rdQuery(rd)}`
    const visit = await browser.get(`${APP}/oauth2/login`, { target })
    if (isRefused(visit)) {
      expectRefusedReturn(visit)
      continue
    }
    redirected += 1
    expect(visit.headers.location).toMatch(
      /^https:\/\/auth\.example\.com\/oauth2\/login\?rd=https%3A%2F%2Fapp\.example\.com%2F(?!%2F)/,
    )
  }
  expect(redirected).toBeGreaterThan(0)
  expect(central.isAlive()).toBe(true)
})

test('as the path of a check, each is refused or becomes the target on its own host', async () =>
  inParallel(
    payloads.filter(({ rd }) => rd.startsWith('/') && /^[\x21-\x7e]*$/.test(rd)),
    async ({ rd }) => {
      const visit = await sut().party.vestibule.check({ uri: rd })
      if (isRefused(visit)) return
      expect(visit.status, rd).toBe(302)
      const login = new URL(visit.headers.location ?? '')
      expect(login.origin + login.pathname).toBe(`${APP}/oauth2/login`)
      expect(login.searchParams.get('rd'), rd).toMatch(/^https:\/\/app\.example\.com\/(?!\/)/)
    },
  ))
