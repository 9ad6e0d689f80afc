import { test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { describeWithRedis } from '../support/replicas.ts'
import { startToldPages } from '../support/told-pages.ts'

describeWithRedis('broadcasts to users and hosts over three replicas', () => {
  const pages = prepared(startToldPages)

  test('reach each page they are meant for once, and no other, whatever identifier it comes back with', async () => {
    await pages().expectOwnEventsOnly(15, 20)
  })
})
