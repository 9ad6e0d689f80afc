import { describe, expect, test } from 'vitest'
import {
  BACKCHANNEL_LOGOUT,
  expectLoggedOut,
  expectLogoutRefused,
  requestLogout,
  sendLogoutToken,
} from '../support/backchannel-logout.ts'
import { nowSeconds } from '../support/bearers.ts'
import { countEvents, readMetric } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { breakSignature, type ClaimChanges, claimsOf, type SignOptions } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import { raw, type Visit } from '../support/visitor.ts'
import { members, rows, words } from '../support/words.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const SID = 'the-session-of-alice'

function form(token: string) {
  return `logout_token=${token}`
}

const party = useParty()

const alice = prepared(() => signIn('alice', SID))

async function signIn(sub: string, sid: string): Promise<string> {
  party.provider.tamperIdToken({ sid })
  const { browser, isSignedIn } = await party.attempt(sub)
  expect(isSignedIn).toBe(true)
  return String(cookieHeader(browser))
}

function send(token: unknown) {
  return sendLogoutToken(party.vestibule, String(token))
}

function request(options: Parameters<typeof requestLogout>[1]) {
  return requestLogout(party.vestibule, options)
}

function mint(changes: ClaimChanges = {}, how?: SignOptions) {
  return party.provider.mintLogoutToken({ sid: SID, ...changes }, how)
}

function usersOf(...cookies: string[]) {
  return Promise.all(cookies.map((each) => party.userOf(each)))
}

async function expectGoesOn() {
  return expect(await party.userOf(alice())).toBe('alice')
}

type Row = [string, Record<string, unknown>, SignOptions?]

function linesOf(event: string) {
  return party.vestibule.log().filter((line) => line['event'] === event)
}

function expectStatus({ status, headers }: Visit, expected: number): void {
  expect([status, headers['cache-control']]).toEqual([expected, 'no-store'])
}

describe('A90 what is no logout request', () => {
  test.for(words`GET HEAD PUT PATCH DELETE OPTIONS`)('a %s ends nothing', async (method) => {
    const visit = await request({ method, url: `${BACKCHANNEL_LOGOUT}?${form(await mint())}` })
    expectStatus(visit, 405)
    expect(visit.headers.allow).toBe('POST')
    await expectGoesOn()
  })

  test.for<[string | undefined, (token: string) => string]>([
    ['application/json', (token) => JSON.stringify({ logout_token: token })],
    ['application/logout+jwt', (token) => token],
    ...rows`
      application/json text/plain application/x-www-form-urlencoded2
      multipart/form-data;\x20boundary=x
    `(form),
    [undefined, form],
  ])('any body but a form is refused: %s', async ([type, body]) => {
    const answer = await request({ headers: { 'Content-Type': type }, body: body(await mint()) })
    expectStatus(answer, 415)
    await expectGoesOn()
  })

  test.for([
    '',
    ...words`
    token=T Logout_Token=T logout_token= logout_token=T&logout_token=T logout_token=T&logout_token=
    logout_token[]=T logout_token=%2A logout_token=U logout_token=+T+ logout_token=T.x.y
    logout_token=%ff%fe
  `,
  ])('exactly one logout_token is needed, not %s', async (body) => {
    const token = await mint()
    const sent = body.replaceAll('T', token).replace('U', token.replace(/[^.]+$/, ''))
    expectLogoutRefused(await request({ body: sent }), [token])
    await expectGoesOn()
  })

  test('a token in the address does not count', async () => {
    const url = `${BACKCHANNEL_LOGOUT}?${form(await mint())}`
    expectLogoutRefused(await request({ url, body: '' }))
    await expectGoesOn()
  })

  test('a body above 16 KiB is refused, whether or not it says so', async () => {
    const body = `${form(await mint())}&pad=${'x'.repeat(16 * 1024)}`
    expectStatus(await request({ body }), 413)
    const chunked = await raw(
      party.vestibule.publicPort,
      `POST /oauth2/backchannel-logout HTTP/1.1\r
Host: app.example.com\r
Content-Type: application/x-www-form-urlencoded\r
Transfer-Encoding: chunked\r
\r
${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    )
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /)
    await expectGoesOn()
  })

  test('a host that is not ours is refused, and the internal listener has no such page', async () => {
    const body = form(await mint())
    expectStatus(await request({ body, headers: { Host: 'evil.example' } }), 400)
    const url = `http://127.0.0.1:${party.vestibule.internalPort}/oauth2/backchannel-logout`
    expect((await request({ body, url })).status).toBe(404)
    await expectGoesOn()
  })
})

describe('A90 what is no logout token of this provider for this client', () => {
  const at = (seconds: number) => String(nowSeconds() + seconds)
  const long = (bytes: number) => `"${'s'.repeat(bytes)}"`

  test.for<Row>([
    ...rows`none public-key-as-secret stranger unknown-kid`({}).map(
      ([as, none]) => [as, none, { as }] as Row,
    ),
    ['none under the right type', {}, { as: 'none', header: { typ: 'logout+jwt' } }],
    ...members`
      typ="at+jwt" typ="" typ=null typ="secevent+jwt" typ="x/logout+jwt" typ=["logout+jwt"]
    `.map(([label, header]): Row => [label, {}, { header }]),
    ...members`
      iss="https://evil.example" iss="HTTP://127.0.0.1" iss aud="evil\x20client"
      aud=["evil","vestibule-2"] aud iat iat="now" iat=${at(-3600)} iat=${at(120)} exp
      exp=${at(-60)} exp=1e300 nbf=${at(120)} jti jti="" jti=7 jti=${long(5000)}
      events events="${EVENT}" events=["${EVENT}"] events=null
      events={"http://schemas.openid.net/event/other":{}} events={"${EVENT}":true}
      events={"${EVENT}":[]} events={"${EVENT}":null} nonce="n" nonce=null sub&sid sub="" sub=1
      sub=null sub="alice\x20" sid="" sid=null sid=["${SID}"] sid=${long(10_000)} sub=${long(10_000)}
    `,
  ])('a token is refused and ends nothing: %s', async ([, changes, how]) => {
    const token = await mint(changes, how)
    const visit = await send(token)
    expectLogoutRefused(visit, [token, 'evil', SID])
    expect(visit.headers['retry-after']).toBeUndefined()
    await expectGoesOn()
  })

  test('neither a broken signature, an ID token nor an access token ends anything', async () => {
    const answers = party.recordTokens()
    await party.attempt('alice')
    const { id_token: idToken, access_token: accessToken } = answers[0] ?? {}
    expect(claimsOf(String(idToken)).sub).toBe('alice')
    const withEvent = await party.provider.mintIdToken({
      events: { [EVENT]: {} },
      jti: 'j',
      nonce: 'n',
    })
    for (const token of [breakSignature(await mint()), idToken, accessToken, withEvent]) {
      expectLogoutRefused(await send(token))
    }
    await expectGoesOn()
  })

  test('each of them was counted, and the log has a reason and nothing of the tokens', async () => {
    const sample = 'vestibule_backchannel_logouts_total{result="refused"}'
    const refused = await readMetric(party.vestibule, sample)
    expect(refused).toBeGreaterThan(60)
    await expect
      .poll(() => countEvents(party.vestibule, 'backchannel_logout_refused'))
      .toBe(refused)
    expect(linesOf('backchannel_logout_refused')[0]).toMatchObject({
      code: 'invalid_request',
      reason: expect.stringContaining('logout_token') as string,
    })
    expect(party.vestibule.output()).not.toMatch(/eyJ[\w-]+\.|the-session-of-alice/)
    expect(countEvents(party.vestibule, 'backchannel_logout')).toBe(0)
  })
})

describe('A90 what a logout token ends', () => {
  const ownSession = async () => {
    const sid = crypto.randomUUID()
    return { sid, cookie: await signIn('alice', sid) }
  }

  test.for<Row>([
    ['sub and sid', {}],
    ...members`
      sub aud=["other","vestibule"] iat=${String(nowSeconds() - 300)} azp="other"&sids=["x"]&__proto=1
      events={"${EVENT}":{"a":1},"b":{}}
    `,
    ...members`
      typ="LOGOUT+JWT" typ="application/logout+jwt" typ="JWT" typ="jwt" typ="application/jwt" typ
    `.map(([label, header]): Row => [label, {}, { header }]),
    ['another algorithm of the provider', {}, { as: 'provider-es256' }],
  ])('a good token ends the session it names, and no other: %s', ([, changes, how]) =>
    expectEnds(changes, how),
  )

  test.for([
    ['iat', 20],
    ['exp', -20],
  ] as const)('a skew of 20 s is allowed: %s', ([name, seconds]) =>
    expectEnds({ [name]: nowSeconds() + seconds }),
  )

  async function expectEnds(changes: ClaimChanges, how?: SignOptions): Promise<void> {
    const { sid, cookie } = await ownSession()
    expectLoggedOut(await send(await mint({ sid, ...changes }, how)))
    expect(await usersOf(cookie, alice())).toEqual([302, 'alice'])
  }

  test('further parameters, a charset, cookies and foreign origins change nothing', async () => {
    const { sid, cookie } = await ownSession()
    const visit = await request({
      body: `state=x&${form(await mint({ sid }))}&token=y`,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded; charset=UTF-8',
        Cookie: cookie,
        Origin: 'https://evil.example',
        'Sec-Fetch-Site': 'cross-site',
      },
    })
    expectLoggedOut(visit)
    expect(await party.userOf(cookie)).toBe(302)
  })

  test.for(['*', '{tag}', 'a:b', '[a-z]*', '__proto__', 'constructor', 'line\nbreak', 'ü', '%00'])(
    'a session that nobody has is answered 200: %j',
    async (sid) => {
      expectLoggedOut(await send(await mint({ sid })))
      expectLoggedOut(await send(await mint({ sid, sub: undefined })))
      await expectGoesOn()
    },
  )

  test.for(['nobody', 'Alice', 'al*', '*'])('an unknown user has no sessions: %s', async (sub) => {
    expectLoggedOut(await send(await party.provider.mintLogoutToken({ sub })))
    await expectGoesOn()
  })

  test('the session of one user is not ended in the name of another', async () => {
    const bob = await signIn('bob', SID)
    expectLoggedOut(await send(await mint({ sub: 'carol' })))
    expect(await usersOf(alice(), bob)).toEqual(['alice', 'bob'])
    expectLoggedOut(await send(await mint({ sub: 'bob' })))
    expect(await usersOf(alice(), bob)).toEqual(['alice', 302])
  })

  test('a token that was used ends nothing the second time, also at once, and is counted', async () => {
    const kind = 'vestibule_replays_refused_total{kind="logout-token"}'
    const { sid, cookie } = await ownSession()
    const token = await mint({ sid })
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => send(token)))
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
    expect([statuses, await party.userOf(cookie)]).toEqual([[200, 400, 400, 400, 400], 302])
    const again = await signIn('alice', sid)
    expect(expectLogoutRefused(await send(token))).toContain('used before')
    expect(await party.userOf(again)).toBe('alice')
    expect(await readMetric(party.vestibule, kind)).toBe(5)
  })

  test('the same jti in another token is the same token, for this issuer', async () => {
    const jti = crypto.randomUUID()
    expectLoggedOut(await send(await mint({ jti, sid: 'x' })))
    expectLogoutRefused(await send(await mint({ jti })))
    await expectGoesOn()
  })

  test('a token without sid ends all sessions of its user and of nobody else', async () => {
    const theirs = [alice(), await signIn('alice', 'one'), await signIn('alice', 'two')]
    const bob = await signIn('bob', 'three')
    expectLoggedOut(await send(await party.provider.mintLogoutToken()))
    expect(await usersOf(...theirs)).toEqual([302, 302, 302])
    expect(await usersOf(bob, await signIn('alice', 'four'))).toEqual(['bob', 'alice'])
  })

  test('each logout is one line with a digest of the user, where the token names one', () => {
    const lines = linesOf('backchannel_logout')
    const [ofBoth, ofSid] = lines
    const done = { outcome: 'done', scope: 'provider_session', count: 1 }
    expect(ofBoth).toMatchObject({
      ...done,
      user: expect.stringMatching(/^[\w-]{16}$/) as string,
      request_id: expect.stringMatching(/^[\w-]{36}$/) as string,
    })
    expect(ofSid).toMatchObject(done)
    expect(ofSid).not.toHaveProperty('user')
    const ofUser = lines.findLast((line) => line['scope'] === 'user')
    expect(ofUser).toMatchObject({ outcome: 'done', user: ofBoth?.['user'] })
    expect(Number(ofUser?.['count'])).toBeGreaterThanOrEqual(3)
    expect(party.vestibule.output()).not.toMatch(/eyJ[\w-]+\./)
  })
})

describe('A90 logout tokens under other settings and in outages', () => {
  test('while the keys of the provider cannot be had nothing is accepted', async () => {
    await using other = await startRelyingParty({}, {}, (provider) =>
      provider.set('jwks', { down: true }),
    )
    const token = await other.provider.mintLogoutToken()
    const refused = await sendLogoutToken(other.vestibule, token)
    expectLogoutRefused(refused)
    expect(refused.headers['retry-after']).toBe('5')
    other.provider.reset()
    expectLoggedOut(await sendLogoutToken(other.vestibule, token))
    const failed = 'vestibule_backchannel_logouts_total{result="failed"}'
    expect(await readMetric(other.vestibule, failed)).toBe(1)
  })

  test.for<[string, { accepted: readonly unknown[]; refused: readonly unknown[] }]>([
    ['any', { accepted: ['JWT', undefined, 'logout+jwt'], refused: ['at+jwt', '', null, 42] }],
    ['logout+jwt', { accepted: ['logout+jwt'], refused: ['JWT', 'jwt', undefined, 'at+jwt'] }],
  ])(
    'OIDC_LOGOUT_TOKEN_TYPE=%s decides what counts (C68)',
    async ([type, { accepted, refused }]) => {
      await using other = await startRelyingParty({ OIDC_LOGOUT_TOKEN_TYPE: type })
      const sent = async (changes: Record<string, unknown>, typ: unknown) =>
        sendLogoutToken(
          other.vestibule,
          await other.provider.mintLogoutToken(changes, { header: { typ } }),
        )
      for (const typ of accepted) expectLoggedOut(await sent({}, typ))
      for (const typ of refused) {
        expect(expectLogoutRefused(await sent({}, typ))).toContain('OIDC_LOGOUT_TOKEN_TYPE')
      }
      const withoutExp = await sent({ exp: undefined }, 'logout+jwt')
      expect(withoutExp.status).toBe(type === 'any' ? 200 : 400)
      const [passed, ended] = [String(nowSeconds() - 3600), String(nowSeconds() - 60)]
      for (const [, changes] of members`nonce="n" events iat iat=${passed}&exp exp=${ended} jti`) {
        expectLogoutRefused(await sent(changes, 'logout+jwt'))
      }
    },
  )

  test.for<[string, string, readonly string[], number]>([
    ['an algorithm of the metadata', '', ['RS256', 'ES256'], 200],
    ['one that the metadata do not list', '', ['RS256'], 400],
    ['another than the registered one', 'RS256', ['RS256', 'ES256'], 400],
    ['the registered one', 'ES256', ['RS256', 'ES256'], 200],
    ['the registered one, which the metadata lack', 'ES256', ['RS256'], 200],
    ['any asymmetric one where the metadata list none', '', [], 200],
  ])('a token signed by a published key with %s (C66)', async ([, registered, listed, status]) => {
    await using other = await startRelyingParty(
      { OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG: registered },
      {},
      (provider) =>
        provider.set('discovery', {
          rewrite: (metadata) => ({ ...metadata, id_token_signing_alg_values_supported: listed }),
        }),
    )
    const token = await other.provider.mintLogoutToken({}, { as: 'provider-es256' })
    expect((await sendLogoutToken(other.vestibule, token)).status).toBe(status)
    if (status === 200) return
    await expect
      .poll(() => other.vestibule.log().filter((line) => line['claim'] === 'alg'))
      .toMatchObject([
        { expected: 'RS256', received: 'ES256', setting: 'OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG' },
      ])
  })
})
