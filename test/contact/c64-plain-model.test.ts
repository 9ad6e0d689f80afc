import { expect, test } from 'vitest'
import { expectModelled } from '../support/check-model/ask-model.ts'
import { startModelledReplicas } from '../support/check-model/worlds.ts'
import { prepared } from '../support/prepared.ts'
import { describeWithRedis } from '../support/replicas.ts'

describeWithRedis('C64 the check answers as a plain model of the contract', () => {
  const modelled = prepared(startModelledReplicas)

  test.for(['memory', 'redis', 'hybrid', 'domain', 'untrusted'] as const)(
    'a replica of kind %s answers a thousand odd requests as the model says, twice',
    async (kind) => {
      const { replica, world } = modelled()[kind]
      expect(world.sessions.size).toBeGreaterThan(0)
      await expectModelled(replica, world, 1000)
    },
  )
})
