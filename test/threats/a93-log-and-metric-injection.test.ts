import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { faults } from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import type { Visit } from '../support/visitor.ts'

let party: RelyingParty
const secrets = new Map<string, string>()
const KEY = randomBytes(32).toString('base64')

beforeAll(async () => {
  party = await startRelyingParty({ LOG_LEVEL: 'trace', SESSION_ENCRYPTION_KEY: KEY })
  secrets.set('encryption key', KEY)
  secrets.set('client secret', party.provider.clientSecret)
  secrets.set('client secret as sent', encodeURIComponent(party.provider.clientSecret))
  secrets.set('e-mail address', 'alice@example.com')
  secrets.set('encoded e-mail address', 'alice%40example.com')
  secrets.set('name', 'Liddell')
  secrets.set('subject', 'alice')
})
afterAll(() => party[Symbol.asyncDispose]())

/** Whatever travelled in a URL, a cookie or a token answer must not be logged. */
const rememberVisit = ({ url, location, setCookies }: Visit): void => {
  for (const address of [url, location].flatMap((text) => (text ? [new URL(text)] : []))) {
    for (const name of ['code', 'state', 'nonce', 'code_challenge', 'id_token_hint']) {
      const value = address.searchParams.get(name)
      if (value && value.length > 10) secrets.set(name, value)
    }
  }
  for (const line of setCookies) {
    const value = line.slice(line.indexOf('=') + 1, line.indexOf(';'))
    if (value.length > 10) {
      secrets.set('cookie', value)
      for (const part of value.split('.')) if (part.length > 10) secrets.set('cookie part', part)
    }
  }
}

const rememberTokens = (): void =>
  party.provider.set('token', {
    rewrite: (body) => {
      for (const name of ['access_token', 'refresh_token', 'id_token']) {
        const token = String(body[name])
        secrets.set(name, token)
        if (name === 'id_token') secrets.set('signature', token.split('.')[2] ?? token)
      }
      return body
    },
  })

const expectNothingLeaked = (text: string): void => {
  expect(secrets.size).toBeGreaterThan(12)
  for (const [name, secret] of secrets) {
    expect(text.includes(secret), `the ${name} is in the output`).toBe(false)
  }
}

const ESC = '\x1b[2J\x1b[31m'

describe('A93 log and metric injection and leakage', () => {
  test('a whole sign-in, its use and the sign-out leave no secret in the log', async () => {
    rememberTokens()
    const { browser, isSignedIn } = await party.attempt()
    expect(isSignedIn).toBe(true)
    await browser.get(`${APP}/oauth2/me`)
    await browser.post(`${APP}/oauth2/logout`)
    browser.trail.forEach(rememberVisit)
    const events = () => party.vestibule.log().map((line) => line['event'])
    await expect.poll(events).toContain('sign_out')
    expect(events()).toContain('sign_in')
    for (const name of ['code', 'state', 'nonce', 'cookie', 'id_token', 'id_token_hint']) {
      expect(secrets.has(name), `no ${name} was seen`).toBe(true)
    }
    expectNothingLeaked(party.vestibule.output())
  })

  test('a set of failures leaves no secret in the log, and one line each', async () => {
    const failures: (readonly [string, () => Promise<unknown>])[] = [
      ['a wrong code', async () => visitCallback((url) => url.searchParams.set('code', 'wrong'))],
      ['a wrong state', async () => visitCallback((url) => url.searchParams.set('state', 'x'))],
      ['a wrong issuer', async () => visitCallback((url) => url.searchParams.set('iss', 'x'))],
      [
        'a doubled state',
        async () => visitCallback((url) => url.searchParams.append('state', 'x')),
      ],
      ['no code', async () => visitCallback((url) => url.searchParams.delete('code'))],
      ['the token endpoint says no', async () => visitWhile({ ...faults.invalidGrant })],
      ['the token endpoint is down', async () => visitWhile({ ...faults.down })],
      ['the token endpoint talks HTML', async () => visitWhile({ ...faults.html })],
      ['the token endpoint is cut off', async () => visitWhile({ ...faults.truncatedJson })],
      ['the token endpoint fails', async () => visitWhile({ ...faults.serverError })],
      ['the ID token is forged', async () => visitForged()],
    ]
    for (const [name, fail] of failures) {
      const before = party.vestibule.log().length
      await fail()
      await expect
        .poll(() => party.vestibule.log().length - before, {
          message: name,
        })
        .toBe(1)
    }
    expectNothingLeaked(party.vestibule.output())
  })

  test('what a stranger sends does not come out as more lines or as control characters', async () => {
    const { check, visitor } = party.vestibule
    const browser = visitor()
    const marks = ['forged-line', 'marker-ua', 'marker-path', 'marker-token', 'marker-error']
    await check(
      { uri: '/marker-path?access_token=marker-token' },
      {
        'User-Agent': `marker-ua ${ESC.replaceAll('\x1b', '%1b')}`,
        Referer: 'https://app.example.com/?code=marker-token',
        Authorization: 'Bearer marker-token',
        'X-Request-Id': 'forged-line","level":"fatal',
        traceparent: 'forged-line',
        Cookie: '__Host-vestibule=marker-token; a=marker-token',
      },
    )
    await check({ host: 'marker-token.example' })
    await check({ uri: 'not-a-path-marker-path' })
    await check({ method: 'marker-path' })
    await check({}, { "X'Auth'Request'User": 'marker-token' })
    const lines = encodeURIComponent(`"}\r\n{"level":"fatal","event":"forged-line"}\n${ESC}`)
    await browser.get(`${APP}/oauth2/login?rd=${lines}`)
    await browser.get(`${APP}/oauth2/callback?error=${lines}&error_description=marker-error`)
    await browser.get(`${APP}/oauth2/callback?error=access_denied&error_description=${lines}`)
    await browser.get(`${APP}/oauth2/callback?state=${lines}&code=${lines}`)
    await browser.get(`${APP}/oauth2/${lines}`)
    await browser.get(`${APP}/oauth2/me?token=marker-token`)
    const { callbackUrl, browser: second } = await party.untilCallback()
    const refused = new URL(callbackUrl)
    refused.searchParams.delete('code')
    refused.searchParams.set('error', `marker-error\r\n${ESC}`)
    refused.searchParams.set('error_description', `alice@example.com forged-line ${ESC}`)
    expect((await second.get(refused.href)).status).toBe(400)

    const output = party.vestibule.output()
    for (const mark of marks) expect(output).not.toContain(mark)
    expect(output).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]/)
    const written = output.trimEnd().split('\n')
    expect(written.map((line) => typeof JSON.parse(line)).every((is) => is === 'object')).toBe(true)
    expect(written).toHaveLength(party.vestibule.log().length)
  })

  test('a request id of a usable form is logged, so that lines can be found', async () => {
    const headers = { 'X-Request-Id': 'req-0123456789', Accept: '*/*' }
    const refused = await party.vestibule.check({ host: 'elsewhere.example' }, headers)
    expect(refused.headers['x-request-id']).toBe('req-0123456789')
    await expect
      .poll(() => party.vestibule.log())
      .toContainEqual(expect.objectContaining({ event: 'refused', request_id: 'req-0123456789' }))
  })

  test('metrics have the same series however many hosts, paths and methods are tried', async () => {
    const series = async () => {
      const { body } = await party.vestibule.internal('/metrics')
      // Node's own series of garbage collection and of what is open come up when there is some.
      const isOurs = (line: string) =>
        line !== '' && !/^#|^vestibule_nodejs_(?:gc|active)_/.test(line)
      const lines = body.split('\n').filter(isOurs)
      return lines.map((line) => line.slice(0, line.lastIndexOf(' ')))
    }
    const hammer = (from: number) =>
      Promise.all(
        Array.from({ length: 40 }, (_, index) => {
          const n = from + index
          return party.vestibule.check(
            { host: n % 2 ? `h${n}.evil.example` : 'app.example.com', uri: `/p${n}` },
            { 'User-Agent': `agent-${n}`, 'X-Request-Id': `request-${n}` },
          )
        }),
      )
    await hammer(0)
    const before = await series()
    await hammer(1000)
    const after = await series()
    expect(after).toEqual(before)
    const values = after.flatMap((line) =>
      [...line.matchAll(/="([^"]*)"/g)].map((found) => found[1]),
    )
    expect(values.filter((value) => /evil|agent-|request-|app\.example/.test(value ?? ''))).toEqual(
      [],
    )
    expectNothingLeaked(after.join('\n'))
    expect(after.some((line) => line.startsWith('vestibule_foreign_hosts_refused_total'))).toBe(
      true,
    )
  })

  test('metrics are not on the public listener', async () => {
    for (const path of ['/metrics', '/oauth2/metrics', '/health']) {
      expect((await party.vestibule.visitor().get(`${APP}${path}`)).status).toBe(404)
    }
    expect(party.vestibule.isAlive()).toBe(true)
  })
})

const visitCallback = async (change: (url: URL) => void): Promise<Visit> => {
  const { browser, callbackUrl } = await party.untilCallback()
  const url = new URL(callbackUrl)
  change(url)
  const visit = await browser.get(url.href)
  browser.trail.forEach(rememberVisit)
  expect(visit.status).toBeGreaterThanOrEqual(400)
  return visit
}

const visitWhile = async (behaviour: Parameters<RelyingParty['provider']['set']>[1]) => {
  party.provider.set('token', behaviour)
  return visitCallback(() => undefined).finally(() => party.provider.reset())
}

const visitForged = async () => {
  party.provider.tamperIdToken({}, { as: 'stranger' })
  return visitCallback(() => undefined).finally(() => party.provider.reset())
}
