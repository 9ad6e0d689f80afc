import { randomBytes } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { countEvents } from '../support/outage.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { usePartyOf } from '../support/used-party.ts'

const OLD = randomBytes(32).toString('base64')
const NEW = randomBytes(32).toString('hex')

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
  const state = steps.sentAlong(await steps.startLogin(party.visitor()), 'state')
  return Buffer.from(state, 'base64url').toString('hex', 1, 9)
}

describe('A75 key rotation while running', () => {
  test('a session survives a change of order, and ends cleanly with its key', async () => {
    const old = steps.cookieHeader((await party.attempt('alice')).browser)
    const waiting = party.visitor()
    const begun = await steps.untilCallback(waiting, '/report')
    const first = await keyInUse()
    await writeKeys('rotated', `${NEW}\n${OLD}\n`)
    expect(await keyInUse()).toBe(first)
    vi.advanceTimersByTime(REREAD_MS)
    expect(await keyInUse()).not.toBe(first)
    expect(await party.userOf(old)).toBe('alice')
    expect((await waiting.get(begun)).location).toBe(`${APP}/report`)
    const fresh = steps.cookieHeader((await party.attempt('bob')).browser)
    expect(await party.userOf(fresh)).toBe('bob')
    await writeKeys('rotated', NEW)
    vi.advanceTimersByTime(REREAD_MS)
    await party.expectNoSession(old)
    const out = await party.visitor().post(steps.LOGOUT, {}, { headers: { Cookie: old } })
    expect([out.status, await party.userOf(fresh)]).toEqual([303, 'bob'])
    expect((await party.attempt('alice')).isSignedIn).toBe(true)
    for (const key of [OLD, NEW]) expect(party.vestibule.output()).not.toContain(key)
  })

  test('a file that cannot be used is logged, and changes nothing', async () => {
    const cookie = steps.cookieHeader((await steady.attempt('alice')).browser)
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

const ID = 'A'.repeat(43)
const formats: readonly (readonly [string, string])[] = [
  ['an empty value', ''],
  ['a later version', `v2.${ID}.${ID}`],
  ['a much later version', `v10.${ID}.${ID}.${ID}`],
  ['an earlier version', `v0.${ID}.${ID}`],
  ['no version', `${ID}.${ID}`],
  ['a version in capitals', `V1.${ID}.${ID}`],
  ['a seed’s base64 JSON', Buffer.from('{"email":"alice@example.com"}').toString('base64')],
]

describe('A75 older, newer and foreign formats', () => {
  test.for(formats)('%s is no session, and the cookie stays as it is (A79)', async ([, value]) => {
    const cookie = `${steps.SESSION_COOKIE}=${value}`
    await steady.expectNoSession(cookie)
    expect((await steady.checkWith(cookie)).rawHeaders.join()).not.toContain('evil')
  })

  test('a session in this format is one', async () =>
    expect((await steady.attempt()).isSignedIn).toBe(true))

  test('a state of a later version is refused', async () => {
    const browser = steady.visitor()
    const sent = steps.sentAlong(await steps.startLogin(browser), 'state')
    const sealed = Buffer.from(sent, 'base64url')
    sealed.writeUInt8(2, 0)
    const query = new URLSearchParams({ code: 'x', state: sealed.toString('base64url') })
    steps.expectFailedSignIn(await browser.get(`${steps.CALLBACK}?${query.toString()}`))
  })
})
