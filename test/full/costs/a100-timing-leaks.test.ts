import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN } from '../../support/operator.ts'
import { APP, type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import { startVestibuleProcess } from '../../support/vestibule-process.ts'
import { FORWARDED } from '../../support/wire-requests.ts'

let party: RelyingParty
let agent: Agent
/** `v1.<id>.<secret>` of a session that is there, and of one that has been ended. */
let present: readonly string[]
let ended: readonly string[]

beforeAll(async () => {
  party = await startRelyingParty({ ADMIN_TOKEN }, {}, undefined, startVestibuleProcess)
  agent = new Agent({ keepAlive: true, maxSockets: 1 })
  present = cookieOf((await party.attempt()).browser)
  const { browser } = await party.attempt('bob')
  ended = cookieOf(browser)
  await browser.post(`${APP}/oauth2/logout`)
})
afterAll(async () => {
  agent.destroy()
  await party[Symbol.asyncDispose]()
})

function cookieOf(browser: Awaited<ReturnType<RelyingParty['attempt']>>['browser']) {
  const value = browser.cookies.find('__Host-vestibule')?.value
  if (!value) throw new Error('there is no session cookie')
  return value.split('.')
}

const SAMPLES = 1500
/** Generous, since the machine has other work too; a look-up of another kind would show, and so would a comparison of many steps. */
const LARGEST_DIFFERENCE = 0.3

function askMs(options: {
  readonly port: number
  readonly method?: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly localAddress?: string
}): Promise<{ readonly ms: number; readonly status: number }> {
  const { body, ...how } = options
  const startedAtMs = performance.now()
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', agent, ...how })
      .on('response', (answer) =>
        answer.resume().on('end', () => {
          resolve({ ms: performance.now() - startedAtMs, status: answer.statusCode ?? 0 })
        }),
      )
      .on('error', reject)
      .end(body)
  })
}

/** Returns the tenth percentile, the time without a disturbance, because a median jumps where about half of the samples had to wait. */
function undisturbedMs(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? Number.NaN
}

/** Takes the classes in turn, so that whatever else the machine does falls on all of them. */
async function expectAlike(
  status: number,
  classes: Readonly<Record<string, () => ReturnType<typeof askMs>>>,
  samples = SAMPLES,
): Promise<void> {
  const names = Object.keys(classes)
  const times = new Map(names.map((name) => [name, [] as number[]]))
  const statuses = new Set<number>()
  for (let round = 0; round < samples + 100; round += 1) {
    for (const name of round % 2 ? names : names.toReversed()) {
      const asked = await classes[name]?.()
      statuses.add(asked?.status ?? 0)
      if (round >= 100) times.get(name)?.push(asked?.ms ?? Number.NaN)
    }
  }
  const typical = names.map((name) => undisturbedMs(times.get(name) ?? []))
  const difference = (Math.max(...typical) - Math.min(...typical)) / Math.min(...typical)
  const figures = names.map((name, at) => `${name} ${typical[at]?.toFixed(3)} ms`).join(', ')
  expect([...statuses]).toEqual([status])
  expect(difference, figures).toBeLessThan(LARGEST_DIFFERENCE)
}

function check(id: string, secret: string) {
  return askMs({
    port: party.vestibule.internalPort,
    path: '/auth',
    headers: {
      ...FORWARDED,
      'Sec-Fetch-Mode': 'cors',
      Cookie: `__Host-vestibule=v1.${id}.${secret}`,
    },
  })
}

function other(text: string, at: number): string {
  const index = at < 0 ? text.length + at : at
  return text.slice(0, index) + (text[index] === 'A' ? 'B' : 'A') + text.slice(index + 1)
}

describe('A100 timing leaks', { timeout: 60_000 }, () => {
  test('an unknown session and an ended one are denied alike', async () => {
    const [, id = '', secret = ''] = ended
    await expectAlike(401, {
      unknown: () => check(other(id, 3), secret),
      ended: () => check(id, secret),
    })
  })

  test('a wrong secret takes as long wherever it is wrong', async () => {
    const [, id = '', secret = ''] = present
    await expectAlike(401, {
      first: () => check(id, other(secret, 0)),
      last: () => check(id, other(secret, -2)),
    })
  })

  test('a wrong secret takes as long also while the right one is in memory', async () => {
    const [, id = '', secret = ''] = present
    const warm = async (text: string) => {
      expect((await check(id, secret)).status).toBe(200)
      return check(id, text)
    }
    await expectAlike(401, {
      first: () => warm(other(secret, 0)),
      last: () => warm(other(secret, -2)),
    })
  })

  test('a wrong token of an operator takes as long wherever it is wrong', async (ctx) => {
    if (process.platform !== 'linux') return ctx.skip('127.0.0.1 is the only address of loopback')
    let guesses = 0
    const guess = (wrong: string) => {
      // Before an address has guessed too often, another one does.
      const host = Math.floor(guesses++ / 8)
      return askMs({
        port: party.vestibule.internalPort,
        path: '/admin/sessions',
        headers: { Authorization: `Bearer ${wrong}` },
        localAddress: `127.1.${host >> 8}.${(host & 255) + 1}`,
      })
    }
    await expectAlike(
      401,
      {
        first: () => guess(other(ADMIN_TOKEN, 0)),
        last: () => guess(other(ADMIN_TOKEN, -1)),
        short: () => guess(ADMIN_TOKEN.slice(0, 8)),
      },
      300,
    )
  })

  test('a wrong state takes as long wherever it is wrong', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    const url = new URL(callbackUrl)
    const state = url.searchParams.get('state') ?? ''
    const Cookie = browser.cookies.header(url) ?? ''
    const callback = (wrong: string) => {
      url.searchParams.set('state', wrong)
      const headers = { Host: url.host, Cookie, Accept: 'text/html' }
      const path = url.pathname + url.search
      return askMs({ port: party.vestibule.publicPort, path, headers })
    }
    await expectAlike(
      400,
      {
        'in the text': () => callback(other(state, 40)),
        'in the tag': () => callback(other(state, -4)),
      },
      500,
    )
  })

  test('a wrong token of the sign-out takes as long wherever it is wrong', async () => {
    const value = present.join('.')
    const headers = { Host: 'app.example.com', Cookie: `__Host-vestibule=${value}` }
    const { publicPort } = party.vestibule
    const page = await party.vestibule.visitor().get(`${APP}/oauth2/logout`, { headers })
    const token = /name="token" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    expect(token).toHaveLength(43)
    const logout = (wrong: string) =>
      askMs({
        port: publicPort,
        method: 'POST',
        path: '/oauth2/logout',
        headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' },
        body: `token=${wrong}`,
      })
    await expectAlike(
      200,
      { first: () => logout(other(token, 0)), last: () => logout(other(token, -2)) },
      500,
    )
    // The question again: the session goes on.
    expect((await check(present[1] ?? '', present[2] ?? '')).status).toBe(200)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
