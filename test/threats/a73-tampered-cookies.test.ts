import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createRandom } from '../support/chaos/random.ts'
import { prepared } from '../support/prepared.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
} from '../support/request-pool.ts'
import * as steps from '../support/sign-in-steps.ts'
import { tally } from '../support/tally.ts'
import { asScript, useParty } from '../support/used-party.ts'

const party = useParty({ SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
const staging = useParty({ SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
const session = prepared(() => party.sessionOf())

type Chance = (below: number) => number

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
  ...[anyLetter, anyByte].flatMap((any) =>
    // By turns a few characters or many are left out, and others put in their place.
    [1, 2, 200].map((most) => (value: string, chance: Chance) => {
      const piece = Array.from({ length: chance(most + 1) }, () => any(chance)).join('')
      return put(value, chance(value.length), piece, chance(most + 1))
    }),
  ),
  (value, chance) => put(value, chance(value.length), value.slice(0, chance(value.length))),
  (value, chance) => value.split('.').toSpliced(chance(3), 1, randomToken(chance)).join('.'),
  (value, chance) => value.slice(0, 40 + chance(20)).toUpperCase() + value.slice(60),
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
  const random = createRandom(`${seed}`)
  const chance: Chance = (below) => Math.floor(random.between(0, below))
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

async function startLongLogin() {
  const browser = party.visitor()
  const started = await steps.startLogin(browser, `/${'x'.repeat(1500)}`)
  return {
    started,
    state: steps.sentAlong(started, 'state'),
    binding: browser.cookies.find(steps.BINDING_COOKIE)?.value ?? '',
    target: browser.cookies.find(steps.TARGET_COOKIE)?.value ?? '',
  }
}

async function expectNone(Cookie: string, host = 'app.example.com'): Promise<void> {
  const { status, setCookies } = await party.check({ host }, { Cookie })
  expect([status, setCookies]).toEqual([302, []])
}

test(`of ${MUTATIONS} mutated session cookies none passes and none breaks anything`, async () => {
  const values = [...eachByteFlipped(session()), ...mutationsOf(session(), MUTATIONS, 73)]
  const requests = values.map((value, at) => {
    const Cookie = `theme=dark; ${steps.SESSION_COOKIE}=${value}`
    const headers = { ...forwardedNavigation, Cookie, ...(at % 2 === 1 && asScript) }
    return { path: '/auth', headers }
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
    const Cookie = `${steps.BINDING_COOKIE}=${binding}; ${steps.TARGET_COOKIE}=${target}`
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
    headers: { Host: 'app.example.com', Cookie: `${steps.BINDING_COOKIE}=${mutated}` },
  }))
  const login = await send(party.vestibule.publicPort, logins)
  expect(Object.keys(login).filter((status) => !['302', '400'].includes(status))).toEqual([])
})

test('no value of ours is good in another one’s place', async () => {
  const { started, state, binding, target } = await startLongLogin()
  const bare = session().replace('v1.', '')
  for (const value of [binding, target, state, steps.sentAlong(started, 'nonce'), bare]) {
    expect(value).toBeTruthy()
    await expectNone(`${steps.SESSION_COOKIE}=${value}`)
  }
  for (const name of ['_login', '_target', '_outage']) {
    await expectNone(`${steps.SESSION_COOKIE}${name}=${session()}`)
  }
})

test('a session of staging is none here, and one of here is none at another host (A37)', async () => {
  const theirs = steps.cookieHeader((await staging.attempt()).browser)
  expect([await staging.userOf(theirs), await party.userOf(theirs)]).toEqual(['alice', 302])
  const Cookie = `${steps.SESSION_COOKIE}=${session()}`
  await expectNone(Cookie, 'other.example.com')
  const url = 'https://other.example.com/oauth2/me'
  const me = await party.visitor().get(url, { headers: { Cookie } })
  expect(me.status).toBe(401)
})

test('the legitimate twin passes after all of it', async () => {
  const Cookie = `${steps.SESSION_COOKIE}=${session()}`
  expect(await party.userOf(Cookie)).toBe('alice')
  expect((await party.get('/oauth2/me', { headers: { Cookie } })).status).toBe(200)
})
