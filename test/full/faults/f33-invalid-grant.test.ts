import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { type Behaviour, faults } from '../../support/provider.ts'
import { until } from '../../support/redis-state.ts'
import {
  askEverywhere,
  countResults,
  type EndingSession,
  expectAskedOnce,
  expectEnded,
  expectGoesOn,
  expectLetIn,
  presentedTokens,
  refreshRequests,
  startRefreshingReplicas,
  tokensFor,
  untilDue,
} from '../../support/refreshing-replicas.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const LIFE_SECONDS = 2
const json = { 'Content-Type': 'application/json' }
const html = { 'Content-Type': 'text/html' }

/** Answers that name the error and are not it. */
const lookalikes: readonly (readonly [what: string, behaviour: Behaviour])[] = [
  ['500 with it as JSON', { status: 500, headers: json, body: '{"error":"invalid_grant"}' }],
  ['503 with it as JSON', { status: 503, headers: json, body: '{"error":"invalid_grant"}' }],
  [
    '500 with a page that has the words',
    { status: 500, headers: html, body: '<h1>invalid_grant</h1>' },
  ],
  [
    '400 with a page that has the words',
    { status: 400, headers: html, body: '{"error":"invalid_grant"' },
  ],
  ['200 with it as JSON', { status: 200, headers: json, body: '{"error":"invalid_grant"}' }],
  [
    '400 with another error that describes it',
    {
      status: 400,
      headers: json,
      body: '{"error":"invalid_request","error_description":"invalid_grant"}',
    },
  ],
  [
    '401 that is about the client',
    { status: 401, headers: json, body: '{"error":"invalid_client"}' },
  ],
]

describeWithRedis('F33 invalid_grant at a refresh', () => {
  const replicas = startedForAll(() => startRefreshingReplicas())
  let first: VestibuleProcess
  let second: VestibuleProcess
  const due: EndingSession[] = []
  beforeAll(async () => {
    ;[first, second] = replicas().all as [VestibuleProcess, VestibuleProcess]
    for (const _ of [...lookalikes, 1, 2]) due.push(await replicas().signedInFor(LIFE_SECONDS))
    await untilDue(performance.now(), LIFE_SECONDS)
  })
  afterEach(() => replicas().provider.reset())

  const takeDue = (): EndingSession => {
    replicas().provider.forgetRequests()
    return due.pop() as EndingSession
  }

  const untilEnded = async (cookie: string): Promise<void> => {
    await until('the end', async () => {
      const visits = await askEverywhere(replicas().all, cookie)
      for (const { status } of visits) expect([200, 302]).toContain(status)
      return visits.every(({ status }) => status === 302)
    })
  }

  test('it ends the session on every replica, once and for all, and the next sign-in works', async () => {
    const { all, provider } = replicas()
    const { browser, cookie } = takeDue()
    provider.set('token', faults.invalidGrant)
    await untilEnded(cookie)
    await expectEnded(all, cookie)
    expect(refreshRequests(provider)).toHaveLength(1)
    expect(await countResults(all, 'refused')).toBe(1)
    const line = all
      .flatMap((each) => each.log())
      .find(({ event }) => event === 'session_not_refreshed')
    expect(line).toMatchObject({ result: 'refused', user: expect.stringMatching(/./) as string })
    expect(JSON.stringify(line)).not.toContain('alice')
    expect(JSON.stringify(line)).not.toContain(presentedTokens(provider)[0])

    provider.reset()
    await browser.signIn(`${LOGIN}?rd=/`, 'alice')
    await expectGoesOn(all, String(cookieHeader(browser)))
  })

  test('a refresh token that somebody else has used ends the session, as the provider wants it', async () => {
    const { all, provider } = replicas()
    let stolen = ''
    provider.set('token', {
      rewrite: (body) => {
        stolen = String(body['refresh_token'])
        return { ...body, expires_in: LIFE_SECONDS }
      },
      times: 1,
    })
    const { cookie } = await replicas().signedIn()
    const issuedAtMs = performance.now()
    const grant = { grant_type: 'refresh_token', refresh_token: stolen }
    const credentials = [provider.clientId, provider.clientSecret].map(encodeURIComponent).join(':')
    const used = await fetch(`${provider.issuer}/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(credentials)}` },
      body: new URLSearchParams(grant),
    })
    expect(used.status).toBe(200)
    await untilDue(issuedAtMs, LIFE_SECONDS)
    await untilEnded(cookie)
    await expectEnded(all, cookie)
  })

  test.for(lookalikes)('%s ends nothing', async ([, behaviour]) => {
    const { all, provider } = replicas()
    const { cookie } = takeDue()
    const failedBefore = await countResults(all, 'failed')
    provider.set('token', behaviour)
    const sinceMs = performance.now()
    expectLetIn(await askEverywhere(all, cookie, 5))
    await until('a failure', async () => (await countResults(all, 'failed')) > failedBefore)
    expectLetIn(await askEverywhere(all, cookie, 5))
    expectAskedOnce(provider, sinceMs)
  })

  test('it ends nothing where another replica has refreshed meanwhile', async () => {
    const { all, provider, redis } = replicas()
    const { cookie } = takeDue()
    const [refusedBefore, refreshedBefore] = [
      await countResults(all, 'refused'),
      await countResults(all, 'refreshed'),
    ]
    provider.set('token', { ...faults.invalidGrant, delayMs: 1500, times: 1 })
    await expectGoesOn([first], cookie)
    await until('a refresh request', () => refreshRequests(provider).length === 1)
    // As a failover may lose it.
    await redis.cli('DEL', storedSession(cookie).keyOf('lock'))
    provider.set('token', tokensFor(3600))
    await expectGoesOn([second], cookie)
    await until(
      'a refresh',
      async () => (await countResults(all, 'refreshed')) === refreshedBefore + 1,
    )
    await wait(1500)
    expect(await countResults(all, 'refused')).toBe(refusedBefore)
    expect(refreshRequests(provider)).toHaveLength(2)
    await expectGoesOn(all, cookie)
  })
})
