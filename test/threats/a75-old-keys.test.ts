import { randomBytes } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { countEvents } from '../support/outage.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import {
  CALLBACK,
  cookieHeader,
  expectFailedSignIn,
  LOGOUT,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { usePartyOf } from '../support/used-party.ts'

const OLD = randomBytes(32).toString('base64')
const NEW = randomBytes(32).toString('hex')

/** The interval at which the file is read. */
const REREAD_MS = 5000
let folder: string

function fileOf(name: string): string {
  return join(folder, name)
}

beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  folder = await mkdtemp(join(tmpdir(), 'vestibule-keys-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))
const party = startWithFile('rotated')
const steady = startWithFile('broken')

afterAll(() => void vi.useRealTimers())

function startWithFile(name: string) {
  return usePartyOf(async () => {
    await writeKeys(name, OLD)
    return startRelyingParty({ SESSION_ENCRYPTION_KEY_FILE: fileOf(name) })
  })
}

/** Writes beside the file and moves it into place, as secrets are mounted. */
async function writeKeys(name: string, text: string): Promise<void> {
  await writeFile(`${fileOf(name)}.new`, text)
  await rename(`${fileOf(name)}.new`, fileOf(name))
}

/** The name of the key that seals now, which travels in clear. */
async function keyInUse(): Promise<string> {
  const state = sentAlong(await startLogin(party.visitor()), 'state')
  return Buffer.from(state, 'base64url').toString('hex', 1, 9)
}

describe('A75 key rotation while running', () => {
  test('a session survives a change of order, and ends cleanly with its key', async () => {
    const old = cookieHeader((await party.attempt('alice')).browser)
    const waiting = party.visitor()
    const begun = await untilCallback(waiting, '/report')
    const first = await keyInUse()
    await writeKeys('rotated', `${NEW}\n${OLD}\n`)
    expect(await keyInUse()).toBe(first)
    vi.advanceTimersByTime(REREAD_MS)
    expect(await keyInUse()).not.toBe(first)
    expect(await party.userOf(old)).toBe('alice')
    expect((await waiting.get(begun)).location).toBe(`${APP}/report`)
    const fresh = cookieHeader((await party.attempt('bob')).browser)
    expect(await party.userOf(fresh)).toBe('bob')
    await writeKeys('rotated', NEW)
    vi.advanceTimersByTime(REREAD_MS)
    await party.expectNoSession(old)
    const out = await party.visitor().post(LOGOUT, {}, { headers: { Cookie: old } })
    expect([out.status, await party.userOf(fresh)]).toEqual([303, 'bob'])
    expect((await party.attempt('alice')).isSignedIn).toBe(true)
    for (const key of [OLD, NEW]) expect(party.vestibule.output()).not.toContain(key)
  })

  test('a file that cannot be used is logged, and changes nothing', async () => {
    const cookie = cookieHeader((await steady.attempt('alice')).browser)
    await writeKeys('broken', `${OLD.slice(0, 20)}\n`)
    const failures = () => countEvents(steady.vestibule, 'keys_not_reloaded')
    const before = failures()
    vi.advanceTimersByTime(REREAD_MS)
    expect(failures()).toBe(before + 1)
    await rm(fileOf('broken'))
    vi.advanceTimersByTime(REREAD_MS)
    expect([failures(), await steady.userOf(cookie)]).toEqual([before + 2, 'alice'])
    expect((await steady.attempt('bob')).isSignedIn).toBe(true)
    expect(steady.vestibule.output()).not.toContain(OLD.slice(0, 20))
  })
})

function jwe(header: Record<string, unknown>): string {
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
  return `${encoded}..${'A'.repeat(16)}.${'A'.repeat(86)}.${'A'.repeat(22)}`
}

const ID = 'A'.repeat(43)
const formats: readonly (readonly [string, string])[] = [
  ['a later version', `v2.${ID}.${ID}`],
  ['a much later version', `v10.${ID}.${ID}.${ID}`],
  ['an earlier version', `v0.${ID}.${ID}`],
  ['no version', `${ID}.${ID}`],
  ['a version in capitals', `V1.${ID}.${ID}`],
  ['a JWE with direct encryption', jwe({ alg: 'dir', enc: 'A256GCM', kid: 'old' })],
  ['a JWE with A128CBC', jwe({ alg: 'dir', enc: 'A128CBC-HS256', kid: 'old' })],
  ['a JWE with a path as kid', jwe({ alg: 'dir', enc: 'A256GCM', kid: '../../etc/passwd' })],
  ['a JWE with a URL as kid', jwe({ alg: 'dir', enc: 'A256GCM', jku: 'https://evil.example/' })],
  ['a JWE with alg none', jwe({ alg: 'none', enc: 'none' })],
  ['a JWE inside a JWE', jwe({ alg: 'dir', enc: 'A256GCM', cty: 'JWT', zip: 'DEF' })],
  ['a JWE with a password', jwe({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2 ** 31 })],
  ['a seed’s base64 JSON', Buffer.from('{"email":"alice@example.com"}').toString('base64')],
]

describe('A75 older, newer and foreign formats', () => {
  test.for(formats)('%s is no session, and the cookie stays as it is', async ([, value]) => {
    const cookie = `${SESSION_COOKIE}=${value}`
    await steady.expectNoSession(cookie)
    expect((await steady.checkWith(cookie)).rawHeaders.join()).not.toContain('evil')
  })

  test('a session in this format is one', async () =>
    expect((await steady.attempt()).isSignedIn).toBe(true))

  test.for<[string, (sealed: Buffer) => void]>([
    ['a later version', (sealed) => void sealed.writeUInt8(2, 0)],
    ['version 0', (sealed) => void sealed.writeUInt8(0, 0)],
    ['a retired key', (sealed) => void randomBytes(8).copy(sealed, 1)],
    ['a key id of zeros', (sealed) => void sealed.fill(0, 1, 9)],
    ['a path as key id', (sealed) => void sealed.write('../../x\0', 1, 'latin1')],
  ])('a state sealed with %s is refused', async ([, change]) => {
    const browser = steady.visitor()
    const sealed = Buffer.from(sentAlong(await startLogin(browser), 'state'), 'base64url')
    change(sealed)
    const query = new URLSearchParams({ code: 'x', state: sealed.toString('base64url') })
    expectFailedSignIn(await browser.get(`${CALLBACK}?${query.toString()}`))
  })

  test('each key opens only what it sealed itself, under whichever key id', () => {
    const [first, second] = [randomBytes(32), randomBytes(32)]
    const context = { purpose: 'session', name: 'a', realm: 'app.example.com' }
    const ring = createKeyRing([first, second])
    const sealed = ring.seal(Buffer.from('text'), context)
    const ofSecond = createKeyRing([second]).seal(Buffer.from('text'), context)
    expect(ring.open(sealed, context)?.toString()).toBe('text')
    expect(ring.open(ofSecond, context)?.toString()).toBe('text')
    expect(createKeyRing([second]).open(sealed, context)).toBeUndefined()
    ofSecond.copy(sealed, 1, 1, 9)
    expect(ring.open(sealed, context)).toBeUndefined()
  })
})
