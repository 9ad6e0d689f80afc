import { beforeAll, expect, test } from 'vitest'
import { digestOfParts } from '../../../src/crypto/digest.ts'
import * as bearers from '../../support/bearers.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { SUBSCRIBER } from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { countEvents } from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, startReplicas } from '../../support/replicas.ts'
import { addDirectly } from '../../support/stored-session.ts'
import { claimsOf } from '../../support/tokens.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import type { Visit } from '../../support/visitor.ts'

const ROUNDS = 10
const RELOAD_MS = 5000
const KEY = 'vestibule:{denied}'

function present(replica: RunningVestibule, token: string, uri = '/api/'): Promise<Visit> {
  return replica.check({ uri }, { ...bearers.asProgram, Authorization: `Bearer ${token}` })
}

async function isLetIn(replica: RunningVestibule, token: string): Promise<boolean> {
  const visit = await present(replica, token)
  if (visit.status !== 200) bearers.expectTokenRefusal(visit, 'invalid_token')
  return visit.status === 200
}

/** Waits until the token is refused. Returns when the last check was sent that was let in. */
async function lastLetIn(replica: RunningVestibule, token: string): Promise<number> {
  let lastMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const sentAtMs = performance.now()
    if (!(await isLetIn(replica, token))) return lastMs
    lastMs = sentAtMs
  }
}

describeWithRedis('tokens that an operator denies', () => {
  const fleet = prepared(() =>
    startReplicas({
      count: 3,
      settings: { ...HYBRID, ADMIN_TOKEN },
      rules: [
        bearers.bearerRule('/api/**'),
        { ...bearers.bearerRule('/vault/**'), degraded: 'deny' },
        { access: 'signed-in' },
      ],
    }),
  )
  beforeAll(() => untilWhole(fleet().all))
  const mint = (claims = {}) => bearers.mintAccessToken(fleet().provider, claims)
  const second = () => fleet().all[1] as RunningVestibule
  const deny = async (body: unknown, at = second()) => {
    const answer = await askAdmin(at, 'POST', 'denied-tokens', body)
    expect(answer).toMatchObject({ status: 200, body: { denied: true } })
  }
  const expectLetIn = async (
    is: boolean,
    token: string,
    all: readonly RunningVestibule[] = fleet().all,
  ) => {
    for (const replica of all) expect(await isLetIn(replica, token)).toBe(is)
  }
  const untilAtVault = (status: number, token: string, replica = fleet().first) =>
    until(
      `${status} at the vault`,
      async () => (await present(replica, token, '/vault/')).status === status,
    )
  /** A token that every replica has verified and remembers. */
  const known = async (all = fleet().all): Promise<string> => {
    const token = await mint()
    for (const _ of ['verified', 'remembered']) await expectLetIn(true, token, all)
    return token
  }
  const untilRefused = async (token: string, all = fleet().all) =>
    Promise.all(all.map(async (replica) => (await timed(lastLetIn(replica, token))).ownMs))
  const members = async () => (await fleet().redis.cli('ZRANGE', KEY, '0', '-1')).split('\n')

  test('are refused at every replica within milliseconds, also where they were remembered', async () => {
    const staying = await known()
    const delaysMs: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const token = await known()
      const refused = untilRefused(token)
      await deny({ token })
      delaysMs.push(...(await refused))
    }
    expect(Math.max(...delaysMs)).toBeLessThan(BUSY_MS)
    await expectLetIn(true, staying)
    const { body } = await askAdmin(fleet().first, 'GET', 'denied-tokens')
    expect(body).toMatchObject({ denied: ROUNDS })
  })

  test('may be named without being shown, before anybody has used them', async () => {
    const token = await mint({ jti: 'by-name' })
    await deny({ jti: 'by-name' })
    await untilRefused(token)
    const visit = await present(second(), token)
    expect(visit.headers['www-authenticate']).toContain('the token has been revoked')
  })

  test('are in Redis as digests in one set that ends with the last of them', async () => {
    const secret = 'jti-that-nobody-shall-read'
    await deny({ jti: secret, iss: fleet().provider.issuer, exp: Date.now() / 1000 + 600 })
    expect((await members()).filter((each) => !/^[A-Za-z0-9_-]{43}$/.test(each))).toEqual([])
    const ttlMs = Number(await fleet().redis.cli('PTTL', KEY))
    expect(ttlMs).toBeGreaterThan(23 * 3_600_000)
    expect(ttlMs).toBeLessThanOrEqual(86_460_000)
    for (const replica of fleet().all) expect(replica.output()).not.toContain(secret)
  })

  test('are refused after five seconds where no message arrives, and by a replica that starts later', async () => {
    const aside = await addDirectly(fleet())
    const all = [...fleet().all, aside]
    await untilWhole(all)
    const token = await known(all)
    const hearAgain = fleet().network.muffle(SUBSCRIBER, 'present and later')
    try {
      await deny({ token }, aside)
      const deniedAtMs = performance.now()
      await expectLetIn(false, token, [aside])
      const lastMs = Math.max(...(await Promise.all(fleet().all.map((at) => lastLetIn(at, token)))))
      expect(lastMs - deniedAtMs).toBeLessThan(RELOAD_MS + 2 * BUSY_MS)
    } finally {
      hearAgain()
    }
    await expectLetIn(false, token, [await fleet().add()])
    await untilWhole(fleet().all)
  })

  test('stay denied while Redis is away; who starts then cannot know, says so, and learns it when Redis is back', async () => {
    const { all, network } = fleet()
    const [denied, staying] = [await known(), await known()]
    await deny({ token: denied })
    await untilRefused(denied)
    await network.refuse()
    await expectLetIn(false, denied)
    await expectLetIn(true, staying)
    await untilAtVault(503, staying)
    const answer = await askAdmin(second(), 'POST', 'denied-tokens', { token: staying })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    await expectLetIn(true, staying, [second()])
    const newcomer = await fleet().add()
    await expectLetIn(true, denied, [newcomer])
    expect(countEvents(newcomer, 'deny_list_unread')).toBe(1)
    const { body } = await newcomer.internal('/metrics')
    expect(body).toContain('vestibule_degraded_decisions_total{use="bearer",reason="deny-list"} 1')
    await untilAtVault(503, denied, newcomer)
    await network.accept()
    await untilRefused(denied, [newcomer])
    await untilAtVault(401, denied, newcomer)
    await untilAtVault(200, staying, newcomer)
    await untilWhole(all)
  })

  test('are denied again where Redis has lost them', async () => {
    const token = await known()
    await deny({ token })
    const name = digestOfParts(fleet().provider.issuer, String(claimsOf(token).jti))
    const isListed = async () => (await members()).includes(name)
    expect(await isListed()).toBe(true)
    await fleet().redis.cli('FLUSHALL')
    // Entries come back one by one.
    await until('a list that is back', isListed)
    await expectLetIn(false, token, [await fleet().add()])
  })

  test('are denied also while Redis is full', async () => {
    const token = await known()
    await fleet().redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    try {
      await deny({ token })
      await untilRefused(token)
    } finally {
      await fleet().redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    }
  })
})
