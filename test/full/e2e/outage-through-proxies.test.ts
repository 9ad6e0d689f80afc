import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cookieBases, cookieVariants } from '../../../src/core/cookie-names.ts'
import { type ProxyKind, proxyKinds, proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { readSources, untilWhole } from '../../support/fleet-load.ts'
import { givenTo, startProxies } from '../../support/protected-app.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import { describeWithRedis, type ReplicaProcesses, startReplicas } from '../../support/replicas.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'
import { createVisitor, type Visit, type Visitor } from '../../support/visitor.ts'

/** Caddy is used with http only, and in the oldest version passes no cookie of a 200 on. */
const SITES = {
  'stand-in': { origin: 'https://app.example.com', prefix: '__Host-', passesCookies: true },
  traefik: { origin: 'https://app.example.com', prefix: '__Host-', passesCookies: true },
  caddy: { origin: 'http://app.localhost', prefix: '', passesCookies: false },
} as const satisfies Record<ProxyKind, unknown>

const SETUP_WITHIN_MS = 120_000

interface Entrance {
  readonly browser: Visitor
  /** The answer at which the sign-in ended: the app's, with cookies of its own. */
  readonly landed: Visit
}

describeWithRedis('an outage of Redis, through proxies', () => {
  const stack = new AsyncDisposableStack()
  const entrances = new Map<ProxyKind, Entrance>()
  let fleet: ReplicaProcesses
  let replica: VestibuleProcess
  let startAgain: () => Promise<void>
  beforeAll(async () => {
    const origins = [...new Set(Object.values(SITES).map(({ origin }) => origin))]
    fleet = stack.use(await startReplicas({ count: 0, provider: { origins } }))
    const [publicPort, internalPort] = [await steadyPort(), await steadyPort()]
    startAgain = async () => {
      await replica?.stop('SIGKILL')
      replica = await fleet.add({
        REDIS_CACHE_MODE: 'hybrid',
        PROTECTED_HOSTS: origins.join(),
        PORT: `${publicPort}`,
        INTERNAL_PORT: `${internalPort}`,
      })
    }
    await startAgain()
    await untilWhole([replica])
    const proxies = stack.use(
      await startProxies(proxyKinds, { publicPort, internalPort }, (kind) => {
        const { protocol, host } = new URL(SITES[kind].origin)
        const scheme = protocol === 'https:' ? ('https' as const) : ('http' as const)
        const addAuthCookies = cookieVariants(cookieBases('vestibule').outage)
        return { hosts: [host], scheme, addAuthCookies }
      }),
    )
    for (const kind of proxyKinds.filter((each) => !proxyMissing(each))) {
      const connectTo = { [new URL(SITES[kind].origin).host]: proxies.originOf(kind) }
      const browser = createVisitor({ connectTo, headers: asJson })
      const landed = await browser.signIn(`${SITES[kind].origin}/set-cookie?name=app`, 'alice')
      entrances.set(kind, { browser, landed })
    }
  }, SETUP_WITHIN_MS)
  afterAll(() => stack.disposeAsync())

  const enter = (kind: ProxyKind, skip: (reason: string) => void): Entrance => {
    const entrance = entrances.get(kind)
    if (entrance) return entrance
    skip(proxyMissing(kind) ?? `${kind} was not started`)
    throw new Error(`${kind} is missing`)
  }
  const use = (kind: ProxyKind, { browser }: Entrance): Promise<Visit> =>
    browser.get(`${SITES[kind].origin}/set-cookie?name=app&value=2`)
  /** The app's own answer, with its cookies, to somebody whom it knows. */
  const expectServed = (visit: Visit): void => {
    expect(visit.status, visit.body).toBe(200)
    expect(givenTo(givenToApp(visit), 'X-Auth-Request-User')).toEqual(['alice'])
    expect(visit.setCookies.filter((line) => line.startsWith('app'))).toHaveLength(2)
    expect(visit.refusedCookies).toEqual([])
  }

  test.for(proxyKinds)('%s: the outage assertion reaches the browser', (kind, { skip }) => {
    const { landed, browser } = enter(kind, skip)
    const { prefix, passesCookies } = SITES[kind]
    expectServed(landed)
    expect(browser.cookies.find('app')?.value).toBe('1')
    expect(browser.cookies.find('app-2')).toMatchObject({ value: '1', httpOnly: true })
    const outage = browser.cookies.find(`${prefix}vestibule_outage`)
    if (passesCookies) expect(outage).toMatchObject({ httpOnly: true, path: '/' })
    else expect(outage).toBeUndefined()
  })

  test.for(proxyKinds)('%s: the app sees no assertion', async (kind, { skip }) => {
    const entrance = enter(kind, skip)
    const { prefix, passesCookies, origin } = SITES[kind]
    const visit = await entrance.browser.get(`${origin}/headers`)
    const cookies = givenTo(givenToApp(visit), 'Cookie').join('; ')
    expect(cookies).toContain('app=1')
    expect(cookies).not.toContain('vestibule_outage')
    if (!passesCookies) return
    expect(visit.sentCookie).toContain(`${prefix}vestibule_outage=`)
    expect(cookies.split('; ').toSorted()).toEqual(['app-2=1', 'app=1'])
    expect(JSON.stringify(givenToApp(visit))).not.toContain('vestibule')
  })

  describe('while Redis is away', () => {
    beforeAll(() => fleet.network.refuse())

    test.for(proxyKinds)('%s: a replica that knows the user goes on', async (kind, { skip }) => {
      const entrance = enter(kind, skip)
      const visit = await use(kind, entrance)
      expectServed(visit)
      expect(visit.setCookies).toHaveLength(2)
      expect(entrance.browser.cookies.find('app')?.value).toBe('2')
    })

    describe('at a replica that has just been started', () => {
      beforeAll(() => startAgain(), SETUP_WITHIN_MS)

      test.for(proxyKinds)('%s: the assertion is what lets in', async (kind, { skip }) => {
        const entrance = enter(kind, skip)
        const { assertion: before = 0 } = await readSources(replica)
        const visit = await use(kind, entrance)
        if (SITES[kind].passesCookies) {
          expectServed(visit)
          expect(visit.setCookies).toHaveLength(2)
          expect((await readSources(replica))['assertion']).toBe(before + 1)
          return
        }
        expect([visit.status, visit.setCookies]).toEqual([503, []])
        expect(visit.headers['retry-after']).toBe('5')
      })
    })
  })

  describe('when Redis is back', () => {
    beforeAll(async () => {
      await fleet.network.accept()
      await untilWhole([replica])
    })

    test.for(proxyKinds)('%s: everybody goes on without a sign-in', async (kind, { skip }) => {
      const entrance = enter(kind, skip)
      const signIns = fleet.provider.count('token')
      expectServed(await use(kind, entrance))
      expect(fleet.provider.count('token')).toBe(signIns)
    })
  })
})

/** A navigation that the app answers with what it was given. */
const asJson = { Accept: 'application/json;q=0.9,*/*;q=0.8' }
