import { Hono } from 'hono'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { NodeEnv } from '../../src/http/request.ts'
import { type Listener, listen } from '../../src/listener/listen.ts'
import { openHttp2 } from '../support/http2-client.ts'
import { sharedCredentials } from '../support/internal-tls.ts'
import { countEvents } from '../support/outage.ts'
import { rawCheck, rawValues } from '../support/raw-check.ts'
import { useParty } from '../support/used-party.ts'

describe('C10: a token reaches an app as it is, or the request is denied', () => {
  const party = useParty({
    PASS_ACCESS_TOKEN: 'true',
    PASS_AUTHORIZATION: 'true',
    IDENTITY_HEADERS: 'X-Forwarded-Access-Token=access_token',
    OIDC_USERINFO: 'never',
  })

  const signIn = async (token: string): Promise<string> => {
    party.provider.set('token', { rewrite: (body) => ({ ...body, access_token: token }) })
    const cookie = await party.vestibule.signIn('alice')
    party.provider.reset('token')
    return cookie
  }

  const counted = async (): Promise<Readonly<Record<string, number>>> => {
    const { body } = await party.vestibule.internal('/metrics')
    const found = [...body.matchAll(/^vestibule_checks_total\{outcome="(\w+)".*\} (\d+)$/gm)]
    const sums: Record<string, number> = {}
    for (const [, outcome = '', count] of found) {
      sums[outcome] = (sums[outcome] ?? 0) + Number(count)
    }
    return sums
  }

  const alone = '\r\n\0\x01\t\x7f\x85\u2028\u2029\ud800'
  test.for([...alone, '\r\nX-Auth-Request-Groups: admins'])(
    'C10: a token with %j in it is denied, logged and counted',
    async (hostile) => {
      const cookie = await signIn(`a${hostile}b`)
      const before = await counted()
      const lines = () => party.vestibule.log().filter(({ code }) => code === 'unusable_token')
      const told = countEvents(party.vestibule, 'refused')
      const { status, headers } = await rawCheck(party.vestibule, cookie)
      expect(status).toBe(403)
      expect(headers.filter(([name]) => /^x-auth|^x-forwarded|^authorization/i.test(name))).toEqual(
        [],
      )
      // Behind those of the rows before it may be one that is only counted.
      await expect.poll(() => countEvents(party.vestibule, 'refused')).toBe(told + 1)
      const line = lines().at(-1)
      expect(line).toMatchObject({ event: 'refused', level: 'warn', status: 403 })
      expect(line?.['reason']).toContain('PASS_ACCESS_TOKEN')
      const after = await counted()
      expect(after['refused']).toBe((before['refused'] ?? 0) + 1)
      expect(after['allow']).toBe(before['allow'])
    },
  )

  test.for([' a', 'a ', '\u00a0a', '\ufeffa'])(
    'C10: a token that begins or ends with a blank is denied and not cut: %j',
    async (token) =>
      expect((await rawCheck(party.vestibule, await signIn(token))).status).toBe(403),
  )

  test.for(['a-b.c_d~e+f/g=', 'a b', 'caf\u00e9', '\u20ac', 'a\u{1f98a}b'])(
    'C10: %j arrives as UTF-8',
    async (token) => {
      const answer = await rawCheck(party.vestibule, await signIn(token))
      expect(answer.status).toBe(200)
      for (const name of ['X-Auth-Request-Access-Token', 'X-Forwarded-Access-Token'])
        expect(rawValues(answer, name)).toEqual([token])
      expect(rawValues(answer, 'Authorization')).toEqual([`Bearer ${token}`])
    },
  )
})

describe.for(['HTTP/1.1', 'HTTP/2'])('C10: a head that cannot be written over %s', (protocol) => {
  const unwritten: unknown[] = []
  const sent: number[] = []
  let listener: Listener

  beforeAll(async () => {
    const app = new Hono<NodeEnv>()
    const hostile = (body: string | ReadableStream | null) =>
      new Response(body, { headers: { 'X-First': '1', 'X-Second': 'a\nb' } })
    app.use(async (c, next) => {
      c.env.outgoing.counted = { countAs: (status) => void sent.push(status) }
      await next()
    })
    app.get('/fine', () => new Response('fine'))
    app.get('/empty', () => hostile(null))
    app.get('/text', () => hostile('a secret'))
    app.get('/later', async () => hostile('a secret'))
    app.get('/stream', () => hostile(new Blob(['a secret']).stream()))
    app.get('/throws', () => {
      throw new Error('never caught')
    })
    app.onError((error) => {
      throw error
    })
    const credentials = await sharedCredentials()
    listener = await listen(app, {
      host: '127.0.0.1',
      port: 0,
      ...(protocol === 'HTTP/2' && { credentials }),
      onUnwritten: (cause) => unwritten.push(cause),
    })
  })
  beforeEach(() => {
    unwritten.length = 0
    sent.length = 0
  })
  afterAll(() => listener.close(0))

  const get = async (path: string) => {
    if (protocol === 'HTTP/2') {
      await using client = await openHttp2(listener.port)
      const { status, headers, body } = await client.ask(path)
      return { status, headers, body }
    }
    const answer = await fetch(`http://127.0.0.1:${listener.port}${path}`)
    const headers: Record<string, unknown> = Object.fromEntries(answer.headers)
    return { status: answer.status, headers, body: await answer.text() }
  }

  test.for(['/empty', '/text', '/later', '/stream', '/throws'])(
    'C10: %s is a denial, and logged and counted as one',
    async (path) => {
      const { status, headers, body } = await get(path)
      expect([status, body]).toEqual([500, ''])
      expect(headers['cache-control']).toBe('no-store')
      expect(headers['x-first']).toBeUndefined()
      expect(unwritten).toHaveLength(1)
      expect(sent).toEqual([500])
      expect(await get('/fine')).toMatchObject({ body: 'fine' })
      expect(sent).toEqual([500, 200])
    },
  )
})
