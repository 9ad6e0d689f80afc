import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
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
import { tally } from '../support/tally.ts'
import { asScript, useParty } from '../support/used-party.ts'

const party = useParty({ SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
const staging = useParty({ SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
let session: string

beforeAll(async () => {
  session = await party.sessionOf()
})

/** The same mutations on every run: mulberry32 with a fixed seed. */
function createChance(seed: number) {
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
function anyByte(chance: Chance): string {
  const code = 0x20 + chance(0xe0)
  return code === 0x7f ? '\t' : String.fromCharCode(code)
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'

function anyLetter(chance: Chance): string {
  return ALPHABET.charAt(chance(ALPHABET.length))
}

function put(text: string, at: number, piece: string, instead = 1): string {
  return text.slice(0, at) + piece + text.slice(at + instead)
}

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

function randomToken(chance: Chance): string {
  return Array.from({ length: 43 }, () => anyLetter(chance).replace('.', 'A')).join('')
}

/** True where a parser must read a mutated value as the good one. */
function isUnchanged(mutated: string, good: string): boolean {
  const pairs = `x=${mutated}`.split(';').map((pair) => pair.replace(/^[ \t]+|[ \t]+$/g, ''))
  return pairs[0]?.slice(2).replace(/^[ \t]+/, '') === good
}

function mutationsOf(good: string, count: number, seed: number): readonly string[] {
  const chance = createChance(seed)
  const mutated: string[] = []
  for (let turn = 0; mutated.length < count; turn += 1) {
    const mutate = mutators[turn % mutators.length] as (typeof mutators)[number]
    const value = mutate(good, chance)
    if (!isUnchanged(value, good)) mutated.push(value)
  }
  return mutated
}

const BITS = [1, 2, 4, 8, 16, 32]

function eachByteFlipped(good: string): readonly string[] {
  return Array.from(good)
    .flatMap((letter, at) =>
      BITS.map((bit) => put(good, at, String.fromCharCode(letter.charCodeAt(0) ^ bit))),
    )
    .filter((value) => !/[\x00-\x08\x0a-\x1f\x7f]/.test(value) && !isUnchanged(value, good))
}

async function send(port: number, requests: readonly PooledRequest[]) {
  using pool = createRequestPool(port)
  const statuses: number[] = []
  const make = (at: number) => requests[at] as PooledRequest
  await pool.sendMany(requests.length, make, ({ status }) => statuses.push(status))
  return tally(statuses)
}

const MUTATIONS = 4000
const PAGE = { Host: 'app.example.com', Accept: 'text/html' }

/** A started login whose target is too long for the state. */
async function startLongLogin() {
  const browser = party.visitor()
  const started = await startLogin(browser, `/${'x'.repeat(1500)}`)
  return {
    started,
    state: sentAlong(started, 'state'),
    binding: browser.cookies.find(BINDING_COOKIE)?.value ?? '',
    target: browser.cookies.find(TARGET_COOKIE)?.value ?? '',
  }
}

async function expectNone(Cookie: string, host = 'app.example.com'): Promise<void> {
  const { status, setCookies } = await party.check({ host }, { Cookie })
  expect([status, setCookies]).toEqual([302, []])
}

describe('A73 tampered, truncated and swapped values', () => {
  test(`of ${MUTATIONS} mutated session cookies none passes and none breaks anything`, async () => {
    const values = [...eachByteFlipped(session), ...mutationsOf(session, MUTATIONS, 73)]
    const requests = values.map((value, at) => {
      const Cookie = `theme=dark; ${SESSION_COOKIE}=${value}`
      return {
        path: '/auth',
        headers: { ...forwardedNavigation, Cookie, ...(at % 2 === 1 && asScript) },
      }
    })
    const statuses = await send(party.vestibule.internalPort, requests)
    expect(values.length).toBeGreaterThanOrEqual(MUTATIONS)
    expect(Object.keys(statuses)).toEqual(['302', '401'])
    expect(statuses[302]).toBeGreaterThan(MUTATIONS / 3)
    expect(statuses[401]).toBeGreaterThan(MUTATIONS / 3)
  })

  test('of 1000 mutated bindings and states none signs in and none breaks anything', async () => {
    const { started: _, ...genuine } = await startLongLogin()
    const callback = (change: Partial<typeof genuine>) => {
      const { state, binding, target } = { ...genuine, ...change }
      const query = new URLSearchParams({ error: 'access_denied', state }).toString()
      const Cookie = `${BINDING_COOKIE}=${binding}; ${TARGET_COOKIE}=${target}`
      return { path: `/oauth2/callback?${query}`, headers: { ...PAGE, Cookie } }
    }
    const statuses = await send(party.vestibule.publicPort, [
      ...mutationsOf(genuine.state, 500, 1).map((state) => callback({ state })),
      ...mutationsOf(genuine.binding, 250, 2).map((binding) => callback({ binding })),
      ...mutationsOf(genuine.target, 250, 3).map((target) => callback({ target })),
    ])
    expect(statuses).toEqual({ 400: 1000 })
    const logins = mutationsOf(genuine.binding, 250, 4).map((mutated) => ({
      path: '/oauth2/login?rd=/',
      headers: { Host: 'app.example.com', Cookie: `${BINDING_COOKIE}=${mutated}` },
    }))
    const login = await send(party.vestibule.publicPort, logins)
    expect(Object.keys(login).filter((status) => !['302', '400'].includes(status))).toEqual([])
  })

  test('no value of ours is good in another one’s place', async () => {
    const { started, state, binding, target } = await startLongLogin()
    const bare = session.replace('v1.', '')
    for (const value of [binding, target, state, sentAlong(started, 'nonce'), bare]) {
      expect(value).toBeTruthy()
      await expectNone(`${SESSION_COOKIE}=${value}`)
    }
    for (const name of ['_login', '_target', '_outage']) {
      await expectNone(`${SESSION_COOKIE}${name}=${session}`)
    }
  })

  test('a session of staging is none here, and one of here is none at another host', async () => {
    const theirs = cookieHeader((await staging.attempt()).browser)
    expect([await staging.userOf(theirs), await party.userOf(theirs)]).toEqual(['alice', 302])
    await expectNone(`${SESSION_COOKIE}=${session}`, 'other.example.com')
  })

  test('the id of one session with the secret of another is none', async () => {
    const [, id, secret] = session.split('.')
    const [, otherId, otherSecret] = (await party.sessionOf('bob')).split('.')
    for (const parts of [`${id}.${otherSecret}`, `${otherId}.${secret}`, `${secret}.${id}`]) {
      await expectNone(`${SESSION_COOKIE}=v1.${parts}`)
    }
  })

  test('the legitimate twin passes after all of it', async () => {
    const Cookie = `${SESSION_COOKIE}=${session}`
    expect(await party.userOf(Cookie)).toBe('alice')
    expect((await party.get('/oauth2/me', { headers: { Cookie } })).status).toBe(200)
  })
})
