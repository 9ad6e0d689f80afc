import { expect } from 'vitest'
import { proxyMissing } from '../../stand-ins/proxy/proxies.ts'
import { streamCounts } from './ending-rounds.ts'
import { type EventClient, openEvents } from './event-client.ts'
import { print } from './own-lag.ts'
import { HOSTS, startProxies } from './protected-app.ts'
import { startRoundRobin } from './round-robin.ts'
import type { RunningVestibule } from './vestibule.ts'

const GATEWAYS = 2
/** One less than a session may have at one replica before its oldest stream goes. */
const MOST_CLIENTS = 9

/** Starts two gateways before all replicas, Traefik where it is on PATH, each of which spreads its connections. */
export async function startTwoGateways(all: readonly RunningVestibule[]) {
  await using stack = new AsyncDisposableStack()
  const missing = proxyMissing('traefik')
  const kind = missing ? 'stand-in' : 'traefik'
  if (missing) print(`the stand-in instead of Traefik: ${missing}`)
  const origins: string[] = []
  for (let count = 0; count < GATEWAYS; count += 1) {
    const { port: publicPort } = stack.use(
      await startRoundRobin(all.map((replica) => replica.publicPort)),
    )
    const internalPort = all[0]?.internalPort ?? 0
    const further = () => ({ hosts: HOSTS, scheme: 'https' as const })
    const { originOf } = stack.use(
      await startProxies([kind], { publicPort, internalPort }, further),
    )
    origins.push(originOf(kind))
  }
  const kept = stack.move()
  return {
    kind,
    /** Opens clients of a session through both gateways until there is one at each replica. */
    open: async (cookie: string): Promise<EventClient[]> => {
      const before = await streamCounts(all)
      const clients: EventClient[] = []
      const hasNone = async () =>
        (await streamCounts(all)).some((count, at) => count === before[at])
      while (clients.length < GATEWAYS * all.length || (await hasNone())) {
        expect(clients.length, 'clients, and none at one of the replicas').toBeLessThan(
          MOST_CLIENTS,
        )
        const origin = origins[clients.length % GATEWAYS] ?? ''
        const client = await openEvents({ origin, cookie })
        expect(client.status, client.text()).toBe(200)
        clients.push(client)
      }
      return clients
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
