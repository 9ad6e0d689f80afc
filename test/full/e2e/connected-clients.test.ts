import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  type Delay,
  expectEnds,
  openAtEach,
  runRounds,
  usersOf,
} from '../../support/ending-rounds.ts'
import { ENDING_SETTINGS, signInWithSid, WAYS, type Way } from '../../support/ending-ways.ts'
import {
  openEvents,
  publicOrigin,
  type SeenEvent,
  untilEvents,
} from '../../support/event-client.ts'
import { quantile, untilWhole } from '../../support/fleet-load.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN } from '../../support/operator.ts'
import { signOut } from '../../support/outage.ts'
import { BUSY_MS, print, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { HOSTS } from '../../support/protected-app.ts'
import { askEverywhere, countResults, untilResult } from '../../support/refreshing-replicas.ts'
import { APP, startRelyingParty } from '../../support/relying-party.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { startTwoGateways } from '../../support/two-gateways.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** `ENDING_ROUNDS=100` gives the distribution of the closing note; a few tell whether the bound is kept. */
const ROUNDS = Number(process.env['ENDING_ROUNDS'] ?? 3)
/** Design section 8 and its issue: within 1 s on a healthy system, on every replica. */
const WITHIN_MS = 1000

const RACES = 20
const TOKEN_SECONDS = 2
const JSON_BODY = { 'Content-Type': 'application/json' }

const users = Array.from({ length: ROUNDS }, (_, turn) => Object.values(usersOf(turn)))
const provider = { users: users.flat().map((sub) => ({ sub })) }
const roundsMs = 120_000 + ROUNDS * 5000

/**
 * Half of the delays may take the contract's second as they are; each may take it and what a busy machine adds, without
 * the time for which this process itself was kept waiting.
 */
function expectInTime(delays: readonly Delay[]): void {
  const all = delays.map(({ ms }) => ms)
  expect(quantile(all, 0.5)).toBeLessThan(WITHIN_MS)
  expect(Math.max(...delays.map(({ ownMs }) => ownMs))).toBeLessThan(WITHIN_MS + BUSY_MS)
}

function describeDelays({ name }: Way, delays: readonly Delay[], how: string): string {
  const all = delays.map(({ ms }) => ms)
  const [min, median, p95, max] = [0, 0.5, 0.95, 1].map((share) => quantile(all, share).toFixed(1))
  return `${name} (${how}): ${all.length} clients heard after min ${min}, median ${median}, p95 ${p95}, max ${max} ms`
}

describeWithRedis('pages that are connected to three replicas through two gateways', () => {
  const fleet = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const settings = { ...HYBRID, ...PATIENT, ...ENDING_SETTINGS }
    const replicas = stack.use(await startReplicas({ count: 3, settings, provider }))
    await untilWhole(replicas.all)
    const gateways = stack.use(await startTwoGateways(replicas.all))
    const kept = stack.move()
    return { ...replicas, gateways, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })

  test.for(WAYS)(
    '$name at one of them: all its pages hear "$reason" once and in time, others hear nothing',
    { timeout: roundsMs },
    async (way) => {
      const { gateways } = fleet()
      const delays = await runRounds(ROUNDS, { world: fleet(), way, open: gateways.open })
      print(describeDelays(way, delays, `3 replicas, 2 × ${gateways.kind}, hybrid`))
      expect(delays.length).toBeGreaterThanOrEqual(ROUNDS * 6)
      expectInTime(delays)
    },
  )
})

describeWithRedis('pages that are connected to three replicas', () => {
  const fleet = prepared(async () => {
    const settings = { ...HYBRID, ...PATIENT, ADMIN_TOKEN }
    const origins = HOSTS.map((host) => `https://${host}`)
    const replicas = await startReplicas({ count: 3, settings, provider: { origins } })
    await untilWhole(replicas.all)
    return replicas
  })
  const [, otherHost = ''] = HOSTS

  test('a sign-out at one host tells the pages that the same browser has at another', async () => {
    const { all, first, provider: its } = fleet()
    const browser = first.visitor()
    its.tamperIdToken({ sid: crypto.randomUUID() })
    await browser.signIn(`${APP}/oauth2/login?rd=/`, 'alice')
    await browser.signIn(`https://${otherHost}/oauth2/login?rd=/`, 'alice')
    its.reset('token')
    const page = `https://${otherHost}/`
    const cookie = browser.cookies.header(new URL(page)) ?? ''
    const open = (replica: VestibuleProcess) =>
      openEvents({ origin: publicOrigin(replica), cookie, page })
    const clients = await Promise.all(all.map(open))
    expect((await signOut(browser)).status).toBe(303)
    await expectEnds(clients, { reason: 'signed-out' })
  })

  test('a renewal at one of them is told once to all pages, and what a refusal leaves alone is not', async () => {
    const { all, provider: its } = fleet()
    const { cookie } = await signInWithSid(its, all[0] as VestibuleProcess, {
      sub: 'alice',
      tokenSeconds: TOKEN_SECONDS,
    })
    const clients = await openAtEach(all, cookie)
    await wait(TOKEN_SECONDS * 1000)
    its.set('token', { status: 400, body: '{"error":"invalid_request"}', headers: JSON_BODY })
    await askEverywhere(all, cookie)
    await untilResult(all, 'failed', 1)
    its.reset('token')
    await until('a renewal', async () => {
      await askEverywhere(all, cookie)
      return (await countResults(all, 'refreshed')) > 0
    })
    for (const client of clients) {
      const [{ data }, ...more] = (await untilEvents(client, 'session-renewed')) as [SeenEvent]
      const { expires_in: left, ...others } = JSON.parse(data) as Record<string, unknown>
      expect(Number.isInteger(left) && Number(left) > 86_000 && Number(left) <= 86_400).toBe(true)
      expect([others, more, client.events.length, client.isOpen()]).toEqual([{}, [], 1, true])
      client.close()
    }
  })

  test('streams that are opened while a session ends hear of it, or are refused', async () => {
    const { all, provider: its } = fleet()
    const seen = { heard: 0, refused: 0 }
    for (let round = 0; round < RACES; round += 1) {
      const at = (offset: number) => all[(round + offset) % all.length] as VestibuleProcess
      const { browser, cookie } = await signInWithSid(its, at(0), { sub: 'alice' })
      const opening = Array.from({ length: 12 }, async (_, turn) => {
        await wait(turn)
        return openEvents({ origin: publicOrigin(at(turn)), cookie })
      })
      await wait(round % 8)
      const signedOut = signOut(move(browser, at(1)))
      for (const client of await Promise.all(opening)) {
        expect([200, 401]).toContain(client.status)
        await client.ended
        if (client.status === 401) seen.refused += 1
        else {
          seen.heard += 1
          expect(client.events.map(({ data }) => data)).toEqual(['{"reason":"signed-out"}'])
        }
      }
      expect((await signedOut).status).toBe(303)
    }
    print(
      `opened while their session ended: ${seen.heard} heard of it, ${seen.refused} were refused`,
    )
    expect(Math.min(seen.heard, seen.refused)).toBeGreaterThan(0)
  })
})

describeWithRedis('pages that are connected to two replicas in redis mode', () => {
  const fleet = prepared(async () => {
    const settings = { REDIS_CACHE_MODE: 'redis', ...PATIENT, ...ENDING_SETTINGS }
    const replicas = await startReplicas({ count: 2, settings, provider })
    await untilWhole(replicas.all)
    return replicas
  })

  test.for(WAYS)('$name: pages at both hear "$reason" once', async (way) => {
    const delays = await runRounds(1, { world: fleet(), way })
    expect(delays).toHaveLength(2)
    expectInTime(delays)
  })
})

describe('pages that are connected to one replica in memory mode', () => {
  const party = prepared(() => startRelyingParty(ENDING_SETTINGS, provider))

  test.for(WAYS)('$name: its page hears "$reason" once', async (way) => {
    const { vestibule, provider: its } = party()
    const delays = await runRounds(1, { world: { all: [vestibule], provider: its }, way })
    expect(delays).toHaveLength(1)
    expectInTime(delays)
  })
})
