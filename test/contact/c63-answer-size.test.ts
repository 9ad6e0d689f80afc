import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { checkOptions } from '../../src/render/middlewares.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { writeRules } from '../support/rules-file.ts'
import { cookieHeader, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { asScript, usePartyOf } from '../support/used-party.ts'
import { defaultSettings } from '../support/vestibule.ts'

/** Name of which every character is escaped in a page. */
const MALLORY = { sub: 'mallory', preferred_username: '"'.repeat(5000) }
const party = usePartyOf(async () => {
  const { path } = await writeRules([{ paths: ['/q/**'], access: 'signed-in', groups: ['nobody'] }])
  return startRelyingParty({ VESTIBULE_CONFIG: path }, { users: [MALLORY] })
})

/** Target of the longest redirect, every character of which is escaped once more. */
const uri = `/q/${'&'.repeat(3000 - APP.length - 3)}`

describe('C63: Traefik allocates the size of the largest answer for each check', () => {
  test.for<[string, number, (cookie: string) => object]>([
    ['page of a user who may not', 403, (Cookie) => ({ Cookie })],
    [
      'page about two sessions',
      400,
      (cookie) => ({ Cookie: `${cookie}; ${SESSION_COOKIE}=${'x'.repeat(64)}` }),
    ],
    ['answer to a script', 401, () => ({ ...asScript, Referer: APP + uri })],
  ])('and the largest %s fits within the rendered bound', async ([, status, headersFor]) => {
    const { browser } = await party.attempt('mallory')
    const answer = await party.check({ uri }, { ...headersFor(cookieHeader(browser) ?? '') })
    const bytes = Buffer.byteLength(answer.body)
    expect([answer.status, bytes > 8 * 1024]).toEqual([status, true])
    const tls = { server: {}, both: {} }
    const { forwardAuth } = checkOptions(loadConfig(defaultSettings), 'vestibule', tls)
    expect(bytes).toBeLessThan(forwardAuth.maxResponseBodySize)
  })
})
