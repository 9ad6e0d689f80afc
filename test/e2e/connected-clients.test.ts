import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { recordKey } from '../../src/store/store.ts'
import { openAtEach, runRounds, usersOf } from '../support/ending-rounds.ts'
import { ENDING_SETTINGS, signInWithSid, WAYS } from '../support/ending-ways.ts'
import type { EventClient } from '../support/event-client.ts'
import { untilWhole } from '../support/fleet-load.ts'
import { signInAt } from '../support/hybrid-replicas.ts'
import { untilMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicasInProcess } from '../support/replicas.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

/** Tokens are waited for in the full lane, which tries every way over three replicas. */
const QUICK = WAYS.filter(({ tokenSeconds }) => tokenSeconds === undefined)
const provider = { users: Object.values(usersOf(0)).map((sub) => ({ sub })) }

describe('pages that are connected, in memory mode', () => {
  const party = prepared(() => startRelyingParty(ENDING_SETTINGS, provider))

  test.for(QUICK)('$name: its pages hear "$reason" once, others hear nothing', async (way) => {
    const { vestibule, provider: its } = party()
    const world = { all: [vestibule], provider: its }
    expect(await runRounds(1, { world, way })).toHaveLength(1)
  })

  test('a renewal is told to the page of its session', async () => {
    const { vestibule, provider: its } = party()
    const { cookie } = await signInWithSid(its, vestibule, {
      sub: usersOf(0).user,
      tokenSeconds: 1,
    })
    const [client] = (await openAtEach([vestibule], cookie)) as [EventClient]
    await until('a renewal', async () => {
      await vestibule.check({}, { Cookie: cookie })
      return client.events.length > 0
    })
    expect(client.events).toMatchObject([{ name: 'session-renewed' }])
    client.close()
  })
})

describeWithRedis('pages that are connected to two replicas', () => {
  const fleet = prepared(async () => {
    const settings = { ...HYBRID, ...PATIENT, ...ENDING_SETTINGS }
    const replicas = await startReplicasInProcess({ count: 2, settings, provider })
    await untilWhole(replicas.all)
    return replicas
  })

  /** Number of sessions of which Redis knows that they ended for this reason. */
  const countTombstones = async (reason: string) => {
    const { cli } = fleet().redis
    const keys = await cli('KEYS', recordKey('vestibule:', '*', 'tombstone'))
    const reasons = await Promise.all(keys.split('\n').map((key) => cli('GET', key)))
    return reasons.filter((each) => each === reason).length
  }

  test.for(QUICK)('$name: pages at both hear "$reason" once, others hear nothing', async (way) => {
    const before = await countTombstones(way.reason)
    expect(await runRounds(1, { world: fleet(), way })).toHaveLength(2)
    expect(await countTombstones(way.reason)).toBeGreaterThan(before)
  })

  test('clients that leave while their session is looked up leave no stream behind', async () => {
    const [replica] = fleet().all as [RunningVestibule]
    const { cookie } = await signInAt(replica, usersOf(0).user)
    const head = `GET /oauth2/events HTTP/1.1\r\nHost: app.example.com\r\nCookie: ${cookie}\r\n\r\n`
    for (let storm = 0; storm < 100; storm += 1) {
      const socket = connect({ port: replica.publicPort, host: '127.0.0.1' })
      socket.on('error', () => undefined).write(head)
      await once(socket, 'connect')
      socket.resetAndDestroy()
    }
    await untilMetric(replica, 'vestibule_event_streams', 0)
  })
})
