import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
} from '../support/request-pool.ts'
import {
  BINDING_COOKIE,
  cookieHeader,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  TARGET_COOKIE,
} from '../support/sign-in-steps.ts'

let party: RelyingParty
let staging: RelyingParty
let session: string

const key = (): string => randomBytes(32).toString('base64')

beforeAll(async () => {
  party = await startRelyingParty({ SESSION_ENCRYPTION_KEY: key() })
  staging = await startRelyingParty({ SESSION_ENCRYPTION_KEY: key() })
  session = (await party.attempt()).browser.cookies.find(SESSION_COOKIE)?.value ?? ''
}, 20_000)
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await staging[Symbol.asyncDispose]()
})

/** The same mutations on every run: mulberry32 with a fixed seed. */
const createChance = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Chance = (below: number) => number

/** Any byte that may stand in a header line. */
const anyByte = (chance: Chance): string => {
  const code = 0x20 + chance(0xe0)
  return code === 0x7f ? '\t' : String.fromCharCode(code)
}
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
const anyLetter = (chance: Chance): string => ALPHABET.charAt(chance(ALPHABET.length))

const put = (text: string, at: number, piece: string, instead = 1): string =>
  text.slice(0, at) + piece + text.slice(at + instead)

const mutators: readonly ((value: string, chance: Chance) => string)[] = [
  (value, chance) => put(value, chance(value.length), anyLetter(chance)),
  (value, chance) => put(value, chance(value.length), anyByte(chance)),
  (value, chance) => put(value, chance(value.length), '', 1),
  (value, chance) => put(value, chance(value.length), anyLetter(chance), 0),
  (value, chance) => value.slice(0, chance(value.length)),
  (value, chance) => value.slice(1 + chance(value.length - 1)),
  (value, chance) => value + anyLetter(chance).repeat(1 + chance(200)),
  (value, chance) => anyByte(chance).repeat(1 + chance(50)) + value,
  (value, chance) => {
    const at = chance(value.length - 1)
    return put(value, at, `${value.charAt(at + 1)}${value.charAt(at)}`, 2)
  },
  (value, chance) => {
    const parts = value.split('.')
    const at = chance(parts.length)
    return [...parts.slice(at), ...parts.slice(0, at)].join('.')
  },
  (value, chance) => put(value, chance(value.length), value.slice(0, chance(value.length))),
  (value, chance) => value.slice(0, 3) + randomToken(chance) + value.slice(46),
  (value, chance) => value.slice(0, 47) + randomToken(chance),
  (value, chance) => value.slice(0, 40 + chance(20)).toUpperCase() + value.slice(60),
  (_, chance) => Array.from({ length: 1 + chance(300) }, () => anyByte(chance)).join(''),
  (value) => encodeURIComponent(Buffer.from(value).toString('base64')),
]

const randomToken = (chance: Chance): string =>
  Array.from({ length: 43 }, () => anyLetter(chance).replace('.', 'A')).join('')

/** Whether a mutated value is the good one after all, as a parser must read it. */
const isUnchanged = (mutated: string, good: string): boolean => {
  const pairs = `x=${mutated}`.split(';').map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ''))
  return pairs[0]?.slice(2).replace(/^[ \t]+/, '') === good
}

const mutationsOf = (good: string, count: number, seed: number): readonly string[] => {
  const chance = createChance(seed)
  const mutated: string[] = []
  for (let turn = 0; mutated.length < count; turn += 1) {
    const mutate = mutators[turn % mutators.length] as (typeof mutators)[number]
    const value = mutate(good, chance)
    if (!isUnchanged(value, good)) mutated.push(value)
  }
  return mutated
}

const eachByteFlipped = (good: string): readonly string[] =>
  good
    .split('')
    .flatMap((_, at) =>
      [1, 2, 4, 8, 16, 32].map((bit) =>
        put(good, at, String.fromCharCode(good.charCodeAt(at) ^ bit)),
      ),
    )
    .filter((value) => !/[\x00-\x08\x0a-\x1f\x7f]/.test(value) && !isUnchanged(value, good))

const tally = async (
  port: number,
  requests: readonly PooledRequest[],
): Promise<Readonly<Record<number, number>>> => {
  using pool = createRequestPool(port)
  const statuses: Record<number, number> = {}
  await pool.sendMany(
    requests.length,
    (at) => requests[at] as PooledRequest,
    ({ status }) => {
      statuses[status] = (statuses[status] ?? 0) + 1
    },
  )
  return statuses
}

const check = (cookie: string, asScript = false): PooledRequest => ({
  path: '/auth',
  headers: {
    ...forwardedNavigation,
    Cookie: cookie,
    ...(asScript && { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }),
  },
})

const MUTATIONS = 4000

describe('A73 tampered, truncated and swapped values', () => {
  test(`of ${MUTATIONS} mutated session cookies none passes and none breaks anything`, async () => {
    const values = [...eachByteFlipped(session), ...mutationsOf(session, MUTATIONS, 73)]
    const statuses = await tally(
      party.vestibule.internalPort,
      values.map((value, at) => check(`theme=dark; ${SESSION_COOKIE}=${value}`, at % 2 === 1)),
    )
    expect(values.length).toBeGreaterThanOrEqual(MUTATIONS)
    expect(Object.keys(statuses)).toEqual(['302', '401'])
    expect(statuses[302]).toBeGreaterThan(MUTATIONS / 3)
    expect(statuses[401]).toBeGreaterThan(MUTATIONS / 3)
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('of 1000 mutated bindings and states none signs in and none breaks anything', async () => {
    const browser = party.vestibule.visitor()
    const started = await startLogin(browser, `/${'x'.repeat(1500)}`)
    const state = sentAlong(started, 'state')
    const binding = browser.cookies.find(BINDING_COOKIE)?.value ?? ''
    const target = browser.cookies.find(TARGET_COOKIE)?.value ?? ''
    const callback = (parts: { state?: string; binding?: string; target?: string }) => ({
      path: `/oauth2/callback?${new URLSearchParams({ error: 'access_denied', state, ...pick(parts) }).toString()}`,
      headers: {
        Host: 'app.example.com',
        Accept: 'text/html',
        Cookie: `${BINDING_COOKIE}=${parts.binding ?? binding}; ${TARGET_COOKIE}=${parts.target ?? target}`,
      },
    })
    const statuses = await tally(party.vestibule.publicPort, [
      ...mutationsOf(state, 500, 1).map((mutated) => callback({ state: mutated })),
      ...mutationsOf(binding, 250, 2).map((mutated) => callback({ binding: mutated })),
      ...mutationsOf(target, 250, 3).map((mutated) => callback({ target: mutated })),
    ])
    expect(statuses).toEqual({ 400: 1000 })
    const login = await tally(
      party.vestibule.publicPort,
      mutationsOf(binding, 250, 4).map((mutated) => ({
        path: '/oauth2/login?rd=/',
        headers: { Host: 'app.example.com', Cookie: `${BINDING_COOKIE}=${mutated}` },
      })),
    )
    expect(Object.keys(login).filter((status) => !['302', '400'].includes(status))).toEqual([])
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('no value of ours is good in another one’s place', async () => {
    const browser = party.vestibule.visitor()
    const started = await startLogin(browser, `/${'x'.repeat(1500)}`)
    const values = [
      browser.cookies.find(BINDING_COOKIE)?.value,
      browser.cookies.find(TARGET_COOKIE)?.value,
      sentAlong(started, 'state'),
      sentAlong(started, 'nonce'),
      session.replace('v1.', ''),
    ]
    for (const value of values) {
      expect(value).toBeTruthy()
      const visit = await party.vestibule.check({}, { Cookie: `${SESSION_COOKIE}=${value}` })
      expect([visit.status, visit.setCookies]).toEqual([302, []])
    }
    for (const name of ['_login', '_target', '_outage']) {
      const visit = await party.vestibule.check(
        {},
        { Cookie: `${SESSION_COOKIE}${name}=${session}` },
      )
      expect([visit.status, visit.setCookies]).toEqual([302, []])
    }
  })

  test('a session of staging is none here, and one of here is none at another host', async () => {
    const theirs = cookieHeader((await staging.attempt()).browser)
    expect((await staging.vestibule.check({}, { Cookie: theirs })).status).toBe(200)
    expect((await party.vestibule.check({}, { Cookie: theirs })).status).toBe(302)

    const cookie = `${SESSION_COOKIE}=${session}`
    const elsewhere = await party.vestibule.check({ host: 'other.example.com' }, { Cookie: cookie })
    expect([elsewhere.status, elsewhere.setCookies]).toEqual([302, []])
  })

  test('the id of one session with the secret of another is none', async () => {
    const other = (await party.attempt('bob')).browser.cookies.find(SESSION_COOKIE)?.value ?? ''
    const [, id, secret] = session.split('.')
    const [, otherId, otherSecret] = other.split('.')
    for (const value of [
      `v1.${id}.${otherSecret}`,
      `v1.${otherId}.${secret}`,
      `v1.${secret}.${id}`,
    ]) {
      const visit = await party.vestibule.check({}, { Cookie: `${SESSION_COOKIE}=${value}` })
      expect([visit.status, visit.setCookies]).toEqual([302, []])
    }
  })

  test('the legitimate twin passes after all of it', async () => {
    const visit = await party.vestibule.check({}, { Cookie: `${SESSION_COOKIE}=${session}` })
    expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
    const me = await party.vestibule.visitor().get(`${APP}/oauth2/me`, {
      headers: { Cookie: `${SESSION_COOKIE}=${session}` },
    })
    expect(me.status).toBe(200)
  })
})

function pick({ state }: { readonly state?: string }): { state?: string } {
  return state === undefined ? {} : { state }
}
