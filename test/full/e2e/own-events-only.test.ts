import { test } from 'vitest'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { startToldPages } from '../../support/told-pages.ts'

/** `OWN_EVENTS_RUNS=2000` is the full measure. */
const RUNS = Number(process.env['OWN_EVENTS_RUNS'] ?? 200)

describeWithRedis('broadcasts to users and hosts over three replicas, at length', () => {
  const pages = prepared(startToldPages)

  test('reach each page they are meant for once, and no other', {
    timeout: 600_000 + RUNS * 1000,
  }, async () => {
    await pages().expectOwnEventsOnly(RUNS, 60)
  })
})
