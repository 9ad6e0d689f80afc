import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { steadyPort } from '../steady-port.ts'

/** TCP proxy before Redis with faults for subscriptions only; commands pass. */
export interface SubscriptionProxy extends AsyncDisposable {
  readonly port: number
  /** Closes subscriptions and refuses new ones until `accept`. */
  readonly refuse: () => void
  readonly accept: () => void
  /** Silences the present subscriptions in both directions while they stay open; new ones work. */
  readonly forget: () => void
}

interface Passage {
  readonly client: Socket
  readonly target: Socket
  isSubscription: boolean
  isForgotten: boolean
}

/** Excludes the connection for commands, which tries a subscription to a channel of its own. */
const SUBSCRIBES = /\r\nsubscribe\r\n.*vestibule:fleet/is

/** Starts the proxy before a port of 127.0.0.1. */
export const startSubscriptionProxy = async (targetPort: number): Promise<SubscriptionProxy> => {
  const passages = new Set<Passage>()
  let isRefusing = false

  const end = (passage: Passage): void => {
    passages.delete(passage)
    passage.client.destroy()
    passage.target.destroy()
  }
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1')
    const passage: Passage = { client, target, isSubscription: false, isForgotten: false }
    passages.add(passage)
    client.on('data', (chunk) => {
      passage.isSubscription ||= SUBSCRIBES.test(chunk.toString())
      if (passage.isSubscription && isRefusing) end(passage)
      else if (!passage.isForgotten) target.write(chunk)
    })
    target.on('data', (chunk) => {
      if (!passage.isForgotten) client.write(chunk)
    })
    for (const socket of [client, target]) {
      socket.setNoDelay(true).on('error', () => socket.destroy())
      socket.once('close', () => end(passage))
    }
  })
  const subscriptions = () => [...passages].filter(({ isSubscription }) => isSubscription)

  const port = await steadyPort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port,
    refuse: () => {
      isRefusing = true
      for (const passage of subscriptions()) end(passage)
    },
    accept: () => {
      isRefusing = false
    },
    forget: () => {
      for (const passage of subscriptions()) passage.isForgotten = true
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const passage of passages) end(passage)
      await closed
    },
  }
}
