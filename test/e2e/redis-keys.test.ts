import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import * as bearers from '../support/bearers.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { startRedis } from '../support/redis.ts'
import { openRedisBytes, type RedisBytes } from '../support/redis-bytes.ts'
import { startRedisMonitor } from '../support/redis-monitor.ts'
import {
  describeWithRedis,
  type Replicas,
  SERVER_KEY,
  startReplicasInProcess,
} from '../support/replicas.ts'
import * as steps from '../support/sign-in-steps.ts'
import { changeClaims, claimsOf } from '../support/tokens.ts'

/** A secret as it might lie around: as it is, in hex, escaped, or inside something that is in Base64. */
const disguisesOf = (secret: string | Buffer): readonly Buffer[] => {
  const bytes = Buffer.from(secret)
  const text = bytes.toString('utf8')
  const inHex = bytes.toString('hex')
  const written = [
    ...[0, 1, 2].flatMap((before) => inBase64(bytes, before)),
    inHex,
    inHex.toUpperCase(),
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
  ]
  return [bytes, Buffer.from(text, 'utf16le'), ...written.map((each) => Buffer.from(each))]
}

/** Behind as many bytes of something else, and without the characters that depend on its surroundings. */
const inBase64 = (bytes: Buffer, before: number): readonly string[] => {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  const inner = text.slice(
    before === 0 ? 0 : before + 1,
    Math.floor(((before + bytes.length) * 8) / 6),
  )
  return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]
}

const zoe = {
  sub: 'subject-4711-of-zoe',
  name: 'Zoë Tellingham-Wärmebrücke',
  preferred_username: 'zoe.tellingham',
  email: 'zoe.tellingham@private.example.com',
  email_verified: true,
  groups: ['secret-society', 'pension-fund-board'],
}
const SID = 'the-session-at-the-provider'
const DIGEST = '[A-Za-z0-9_-]{43}'

/** The names of keys that the documentation lists. */
const documented = (): readonly RegExp[] => {
  const [, section = ''] = readFileSync('docs/redis.md', 'utf8').split(/^## Keys$/m)
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`P(.*?)`/g)].map(([, name = '']) => {
      const pattern = RegExp.escape(name)
        .replaceAll(RegExp.escape('{d}'), `\\{${DIGEST}\\}`)
        .replaceAll('…', '.*')
      return new RegExp(`^vestibule:${pattern}$`)
    }),
  )
}

/** Message that the self-test publishes to find out whether it may. */
const SELF_TEST = /"vestibule:0:events" .*"type":"self-test"/

type Dump = ReadonlyMap<string, readonly Buffer[]>

/** One piece of text in which nothing may be found. */
const bytesOf = (dump: Dump): Buffer =>
  Buffer.concat([...dump].flatMap(([key, values]) => [Buffer.from(`${key}\n`), ...values]))

/** The name of the data comes back by itself after they were flushed, and commands are tried, sooner or later. */
const withoutBackground = (dump: Dump): Dump =>
  new Map([...dump].filter(([name]) => !/^vestibule:\{(?:dataset\}|self-test-)/.test(name)))

describeWithRedis('what Redis is given', () => {
  const stack = new AsyncDisposableStack()
  let replicas: Replicas
  let bytes: RedisBytes
  let key: bearers.ProofKey
  beforeAll(async () => {
    replicas = stack.use(
      await startReplicasInProcess({
        provider: { users: [zoe] },
        rules: [
          bearers.bearerRule('/once/**', {}, { oneTime: true }),
          bearers.bearerRule('/api/**'),
          { access: 'signed-in' },
        ],
        settings: {
          ADMIN_TOKEN,
          // Earlier ends would be written again to a Redis that seems to have been flushed.
          REDIS_ENABLE_HEALTH_CHECK: 'false',
          CHECK_STORE_TIMEOUT_MS: '1000',
        },
      }),
    )
    bytes = stack.use(await openRedisBytes(replicas.redis))
    key = await bearers.createProofKey()
  })
  afterAll(() => stack.disposeAsync())

  /** From the first visit to the sign-out, tokens of programs included, and all that was secret on the way. */
  const useEverything = async () => {
    const { first, provider, redis } = replicas
    await redis.cli('FLUSHALL')
    const issued: string[] = []
    provider.set('token', {
      rewrite: async (body) => {
        const claims = changeClaims(claimsOf(String(body['id_token'])), { sid: SID })
        const answer = { ...body, id_token: await provider.sign(claims) }
        issued.push(...Object.values(answer).filter((value) => typeof value === 'string'))
        return answer
      },
    })
    using monitor = await startRedisMonitor(redis)
    const { browser, callbackUrl } = await replicas.untilCallback(zoe.sub)
    const landed = await browser.get(callbackUrl)
    provider.reset('token')
    const cookie = steps.cookieHeader(browser)
    expect((await first.check({}, { Cookie: cookie })).headers['x-auth-request-user']).toBe(zoe.sub)

    const once = await bearers.mintAccessToken(provider, { sub: zoe.sub, jti: 'jti-of-a-program' })
    const bound = await bearers.mintAccessToken(provider, { cnf: { jkt: key.thumbprint } })
    const proof = await key.prove(bound, { jti: 'jti-of-a-proof' })
    const asBearer = { ...bearers.asProgram, Authorization: `Bearer ${once}` }
    const asOwner = { ...bearers.asProgram, Authorization: `DPoP ${bound}`, DPoP: proof }
    expect((await first.check({ uri: '/once/' }, asBearer)).status).toBe(200)
    expect((await first.check({ uri: '/api/' }, asOwner)).status).toBe(200)

    const data = 'what an operator tells somebody'
    const told = { event: 'notice', data, user: zoe.sub, host: 'app.example.com' }
    expect((await askAdmin(first, 'POST', 'broadcast', told)).status).toBe(202)

    const signedIn = withoutBackground(await bytes.dump())
    const [, id = '', secret = ''] =
      browser.cookies.find(steps.SESSION_COOKIE)?.value.split('.') ?? []
    const [, binding = ''] = browser.cookies.find(steps.BINDING_COOKIE)?.value.split('.') ?? []
    expect((await browser.post(steps.LOGOUT)).status).toBe(303)
    const callback = new URL(callbackUrl).searchParams
    const started = browser.trail.find(({ url }) => url.includes('/oauth2/login'))
    const tokens = [...issued, once, bound, proof].flatMap((token) => [token, ...token.split('.')])
    return {
      digest: hash('sha256', id, 'base64url'),
      signedIn,
      signedOut: withoutBackground(await bytes.dump()),
      told: await monitor.lines(),
      secrets: {
        ...Object.fromEntries(tokens.filter((part) => part.length > 20).map((t) => [t, t])),
        ...Object.fromEntries(zoe.groups.map((group) => [group, group])),
        subject: zoe.sub,
        name: zoe.name,
        'user name': zoe.preferred_username,
        'e-mail address': zoe.email,
        "provider's session": SID,
        issuer: provider.issuer,
        'user agent': 'Mozilla/5.0 (visitor)',
        'session id': id,
        'cookie secret': secret,
        'binding secret': binding,
        code: callback.get('code') ?? '',
        state: callback.get('state') ?? '',
        nonce: started ? steps.sentAlong(started, 'nonce') : '',
        'code challenge': started ? steps.sentAlong(started, 'code_challenge') : '',
        'client secret': provider.clientSecret,
        'server key': Buffer.from(SERVER_KEY, 'hex'),
        'server key as written': SERVER_KEY,
        'jti of a token': 'jti-of-a-program',
        'jti of a proof': 'jti-of-a-proof',
        'data of a broadcast': data,
      } as Readonly<Record<string, string | Buffer>>,
      location: landed.location,
    }
  }

  const leaksIn = (
    haystack: Buffer,
    secrets: Readonly<Record<string, string | Buffer>>,
  ): readonly string[] =>
    Object.entries(secrets)
      .filter(([, secret]) => disguisesOf(secret).some((form) => haystack.includes(form)))
      .map(([what]) => what)

  test('nothing that is secret or personal is in any key, value or command', async () => {
    const { secrets, signedIn, signedOut, told } = await useEverything()
    for (const [what, secret] of Object.entries(secrets)) {
      expect(secret.length, what).toBeGreaterThan(7)
    }
    expect(signedIn.size).toBe(10)
    expect(told.length).toBeGreaterThan(15)
    const all = [bytesOf(signedIn), bytesOf(signedOut), Buffer.concat(told)]
    expect(all.map((each) => leaksIn(each, secrets))).toEqual([[], [], []])
  })

  test.for(['utf8', 'hex', 'base64', 'base64url'] as const)(
    'finds what is there as %s',
    async (encoding) => {
      using monitor = await startRedisMonitor(replicas.redis)
      const value = Buffer.from(`{"name":"${zoe.name}"}`)
      await bytes.put('planted', Buffer.from(value.toString(encoding)))
      expect(leaksIn(bytesOf(await bytes.dump()), { name: zoe.name })).toEqual(['name'])
      expect(leaksIn(Buffer.concat(await monitor.lines()), { name: zoe.name })).toEqual(['name'])
      await replicas.redis.cli('DEL', 'planted')
    },
  )

  test('names of keys are digests, and each has its place', async () => {
    const { digest, signedIn, signedOut, told } = await useEverything()
    const named = (dump: Dump) =>
      [...dump.keys()]
        .map((name) => name.replace(digest, 'session').replace(new RegExp(DIGEST), 'digest'))
        .toSorted()
    const markers = ['bearer', 'dpop', 'id-token', 'login'].map((kind) => `j:${kind}:{digest}`)
    const inUse = [
      'p:{digest}',
      'u:{digest}',
      '{events}',
      '{session}:m',
      '{session}:s',
      '{session}:t',
    ]
    const ours = (names: readonly string[]) => names.map((name) => `vestibule:${name}`)
    expect(named(signedIn)).toEqual(ours([...markers, ...inUse]))
    expect(named(signedOut)).toEqual(ours([...markers, '{events}', '{session}:x']))
    for (const [name, values] of signedIn) {
      if (/^vestibule:[pu]:/.test(name)) expect(values.map(String)).toEqual([digest])
    }
    const messages = told.map(String).filter((line) => line.includes('"PUBLISH"'))
    const heartbeat = /"PUBLISH" "(?:vestibule:0:events:[0-9a-f]+|vestibule:fleet)"/
    const published = messages.filter((line) => !heartbeat.test(line) && !SELF_TEST.test(line))
    expect(published).toHaveLength(2)
    for (const each of published) expect(each).toContain('"PUBLISH" "vestibule:0:events"')
    expect(published[0]).toContain('broadcast')
    expect(published[1]).toContain(digest)
  })

  test('each of them is documented', async () => {
    const { first, redis } = replicas
    using monitor = await startRedisMonitor(redis)
    await useEverything()
    for (const query of [`user=${zoe.sub}`, 'all=true']) {
      expect((await askAdmin(first, 'DELETE', `sessions?${query}`)).status).toBe(200)
    }
    const told = Buffer.concat(await monitor.lines()).toString()
    const names = new Set(
      [...told.matchAll(/"(vestibule:[^" ]*\{[^" *]+)"/g)].map(([, name]) => name),
    )
    const known = documented()
    const isKnown = (name = '') => known.some((pattern) => pattern.test(name))
    expect([...names].filter((name) => !isKnown(name))).toEqual([])
    expect(names.size).toBeGreaterThan(10)
  })

  test('all of a session is in one slot of a cluster', async () => {
    const args = ['--cluster-enabled', 'yes', '--cluster-port', `${await steadyPort()}`]
    await using cluster = await startRedis({ args })
    const { digest, signedIn, signedOut } = await useEverything()
    const names = [...signedIn.keys(), ...signedOut.keys()].filter((name) => name.includes(digest))
    expect(names).toHaveLength(4)
    const slots = await Promise.all(
      [...names, `vestibule:{${digest}}:l`].map((name) => cluster.cli('CLUSTER', 'KEYSLOT', name)),
    )
    expect(new Set(slots).size).toBe(1)
  })
})
