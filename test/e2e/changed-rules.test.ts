import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { stringify } from 'yaml'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import { bearerRule, startBearerParty } from '../support/bearers.ts'
import { makeFolder, swapLink } from '../support/kept-rules.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { until } from '../support/own-lag.ts'
import { startRedisMonitor } from '../support/redis-monitor.ts'
import { tokensFor } from '../support/refreshing-replicas.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { describeWithRedis, startReplicasInProcess } from '../support/replicas.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'

type Rule = Partial<RuleSource>

/** Rules behind a link that is swapped, so that each change is in force at the next look. */
const linkRules = (rules: readonly Rule[]) => {
  const folder = makeFolder('')
  const swapTo = (next: unknown) => swapLink(folder, stringify({ rules: next }))
  swapTo(rules)
  return { path: folder.path, swapTo, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

const OPEN: Rule = { paths: ['/open'], access: 'public' }
/** Life of an access token after which a session is refreshed while a test waits. */
const DUE_SECONDS = 2
const CLOSED: Rule = { paths: ['/open'], access: 'deny' }

const statusOf = async (vestibule: RunningVestibule) =>
  (await vestibule.check({ uri: '/open' })).status
const untilStatus = (status: number, ...all: readonly RunningVestibule[]) =>
  until(`answers ${status}`, async () => {
    const found = await Promise.all(all.map(statusOf))
    return found.every((each) => each === status)
  })
const countedReports = async (vestibule: RunningVestibule) => {
  const { body } = await vestibule.internal('/metrics')
  return body.split('\n').filter((line) => line.startsWith('vestibule_rules_would_deny'))
}
const healthOf = async (vestibule: RunningVestibule) =>
  JSON.parse((await vestibule.internal('/health')).body) as {
    readonly status: string
    readonly reasons: readonly { readonly code: string }[]
  }

describe('rules that change while the service runs', () => {
  test('decide from then on, a bad set is degraded in memory mode too, and the next good one heals it', async () => {
    using rules = linkRules([OPEN])
    await using party = await startBearerParty([], { VESTIBULE_CONFIG: rules.path })
    const { vestibule } = party
    await untilStatus(200, vestibule)
    expect(await countedReports(vestibule)).toEqual([])
    rules.swapTo([CLOSED, { name: 'tried', access: 'deny', report: true }])
    await untilStatus(403, vestibule)
    expect(await countedReports(vestibule)).toEqual([
      'vestibule_rules_would_deny_total{rule="tried"} 0',
    ])
    rules.swapTo('none')
    await until('degraded', async () => (await healthOf(vestibule)).status === 'degraded')
    expect((await healthOf(vestibule)).reasons.map(({ code }) => code)).toEqual([
      'rules_not_reloaded',
    ])
    expect((await vestibule.internal('/health?strict=1')).status).toBe(503)
    expect(await statusOf(vestibule)).toBe(403)
    rules.swapTo([OPEN])
    await untilStatus(200, vestibule)
    expect((await healthOf(vestibule)).status).toBe('healthy')
  })

  test('accept tokens of issuers that are named now, and no longer those that are not', async () => {
    using rules = linkRules([OPEN])
    await using party = await startBearerParty([], {
      VESTIBULE_CONFIG: rules.path,
      ADMIN_TOKEN,
    })
    const token = await party.mint()
    const present = async () => (await party.present(token)).status
    const kept = async () => (await askAdmin(party.vestibule, 'GET', 'cache')).body
    expect(await present()).toBe(401)
    rules.swapTo([bearerRule('/api/**')])
    await until('accepted tokens', async () => (await present()) === 200)
    expect(await kept()).toMatchObject({ entries: { tokens: 1 } })
    rules.swapTo([bearerRule('/api/**', { issuers: ['http://127.0.0.1:9'] })])
    await until('refused tokens', async () => (await present()) === 401)
    expect(await kept()).toMatchObject({ entries: { tokens: 0 } })
  })

  test('are explained, and count what they would refuse from 0 on', async () => {
    const report = (name: string): Rule => ({ name, access: 'deny', report: true })
    using rules = linkRules([report('old'), OPEN])
    await using vestibule = await startVestibule({ VESTIBULE_CONFIG: rules.path, ADMIN_TOKEN })
    const series = async () => {
      const { body } = await vestibule.internal('/metrics')
      return body.split('\n').filter((line) => line.startsWith('vestibule_rules_would_deny_total'))
    }
    const explained = async () => {
      const url = 'https://app.example.com/open'
      const { body } = await askAdmin(vestibule, 'POST', 'explain', { url })
      const { page, rules: found } = body as { page: number; rules: { access: string }[] }
      return [page, ...found.map(({ access }) => access)]
    }
    expect(await series()).toEqual(['vestibule_rules_would_deny_total{rule="old"} 0'])
    expect(await explained()).toEqual([200, 'public'])
    rules.swapTo([report('new'), CLOSED])
    await untilStatus(403, vestibule)
    expect(await series()).toEqual(['vestibule_rules_would_deny_total{rule="new"} 0'])
    expect(await explained()).toEqual([403, 'deny'])
  })

  test('find a claim that they name for the first time unknown until the session’s refresh or the next sign-in', async () => {
    using rules = linkRules([OPEN, { access: 'signed-in' }])
    const ada = { sub: 'ada', department: 'research' }
    await using party = await startRelyingParty(
      { VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: '' },
      { users: [ada] },
    )
    const { vestibule, provider } = party
    const long = await vestibule.signIn('ada')
    provider.set('token', tokensFor(DUE_SECONDS))
    const due = await vestibule.signIn('ada')
    provider.reset('token')
    const statusWith = async (cookie: string) =>
      (await vestibule.check({ uri: '/' }, { Cookie: cookie })).status
    expect(await Promise.all([statusWith(long), statusWith(due)])).toEqual([200, 200])
    rules.swapTo([CLOSED, { access: 'signed-in', allow: { claims: { department: 'research' } } }])
    await untilStatus(403, vestibule)
    expect(await statusWith(long)).toBe(403)
    const lines = () => vestibule.log().filter(({ event }) => event === 'not_permitted')
    await until('a line', async () => lines().some(({ code }) => code === 'condition'))
    expect(lines().find(({ code }) => code === 'condition')).toMatchObject({
      rule: '2',
      reason:
        'claim department: unknown, because the session is older than the rule that names it; sign in again',
    })
    await until('the refresh', async () => (await statusWith(due)) === 200)
    expect(await statusWith(await vestibule.signIn('ada'))).toBe(200)
    expect(await statusWith(long)).toBe(403)
  })

  test('are not looked at any more once it has stopped, as no interval goes on', async () => {
    using rules = linkRules([OPEN])
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const vestibule = await startVestibule({ VESTIBULE_CONFIG: rules.path })
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    await vestibule.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('change in a process of its own, which SIGTERM ends', async () => {
    using rules = linkRules([OPEN])
    await using vestibule = await startVestibuleProcess({ VESTIBULE_CONFIG: rules.path })
    await untilStatus(200, vestibule)
    rules.swapTo([CLOSED])
    await untilStatus(403, vestibule)
    expect(await vestibule.stop('SIGTERM')).toBe(0)
  })
})

describeWithRedis('rules that change at replicas', () => {
  test('hold at each of them', async () => {
    using rules = linkRules([OPEN])
    await using replicas = await startReplicasInProcess({
      count: 2,
      settings: { VESTIBULE_CONFIG: rules.path },
    })
    using monitor = await startRedisMonitor(replicas.redis)
    /** Digests that replicas announced last; one where both have the same rules. */
    const announced = async () => {
      const text = (await monitor.lines()).join('\n')
      const found = text.matchAll(/"from":"(\w+)".*"rules":"([\w-]{22})"/g)
      const latest = new Map(Array.from(found, ([, from, digest]) => [from, digest]))
      return latest.size === 2 ? [...new Set(latest.values())] : []
    }
    await untilStatus(200, ...replicas.all)
    const seen: string[] = []
    for (const [rule, status] of [
      [CLOSED, 403],
      [OPEN, 200],
    ] as const) {
      rules.swapTo([rule])
      await untilStatus(status, ...replicas.all)
      await until('announcements of the new rules', async () => {
        const digests = await announced()
        const [digest = ''] = digests
        if (digests.length !== 1 || seen.includes(digest)) return false
        return seen.push(digest) > 0
      })
    }
  })
})
