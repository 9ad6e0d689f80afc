import type { Command } from '../redis/client.ts'
import type { ConnectOptions, RedisConnection } from '../redis/connection.ts'
import { type BackplaneMessage, formatMessage, type MessageBody, parseMessage } from './message.ts'

/** Tells all replicas what has changed (Redis pub/sub), and knows whether it would hear of it itself. */
export interface Backplane {
  /**
   * The number of the present subscription while everything published is heard; nothing otherwise. What was kept
   * under another number may have missed something.
   */
  readonly epoch: number | undefined
  /** For all other replicas. Throws `AuthError` `store_unavailable` when it cannot be sent. */
  publish(body: MessageBody): Promise<void>
}

export interface OpenBackplane extends Backplane {
  /** `body` with sender and time, for scripts that publish. */
  readonly writeMessage: (body: MessageBody) => string
  close(): Promise<void>
}

export interface BackplaneOptions {
  readonly channel: string
  /** A channel beside it that is only passed on. */
  readonly fleetChannel: string
  readonly replica: string
  readonly connect: (
    observers: Pick<ConnectOptions, 'onConnected' | 'onDisconnected'>,
  ) => RedisConnection
  /** Over the connection for commands. */
  readonly send: <T>(command: Command<T>, timeoutMs: number) => Promise<T>
  /** Milliseconds by Redis's clock, as far as it is known. */
  readonly redisNow: () => number
  readonly onMessage: (message: BackplaneMessage) => void
  /** Something that this version does not understand was said; anything may have changed. */
  readonly onUnknown: () => void
  readonly onFleet: (text: string) => void
  /** From publication to here. */
  readonly onApplied: (delayMs: number) => void
  readonly onHealth: (isHealthy: boolean) => void
}

const HEARTBEAT_MS = 1000
const BROKEN_AFTER_MS = 3000
/** Longer than a heartbeat takes that is on its way. */
const DEAF_AFTER_MS = 2 * BROKEN_AFTER_MS

/**
 * A heartbeat goes through Redis to ourselves each second. Neither that the socket is open nor that publishing succeeds
 * says that messages arrive: a half-open connection looks the same (fault F23), and a loading Redis publishes (F11).
 */
export function openBackplane(options: BackplaneOptions): OpenBackplane {
  const { channel, fleetChannel, replica, redisNow } = options
  const inbox = `${channel}:${replica}`
  let epoch = 0
  let isSubscribed = false
  let subscribedAtMs = Number.NEGATIVE_INFINITY
  /** When the last heartbeat that came back was sent. */
  let heardAtMs = Number.NEGATIVE_INFINITY
  let wasHealthy = false

  const isHealthy = () => isSubscribed && performance.now() - heardAtMs < BROKEN_AFTER_MS
  const connection = options.connect({
    onConnected: () => void subscribe(),
    onDisconnected() {
      epoch++
      isSubscribed = false
      // What came back over the last connection says nothing about the next.
      heardAtMs = Number.NEGATIVE_INFINITY
      tellHealth()
    },
  })

  async function subscribe(): Promise<void> {
    const subscribed = connection.run(
      undefined,
      (client) =>
        Promise.all([
          client.subscribe(channel, receive),
          client.subscribe(inbox, hearOneself),
          // May be forbidden by itself; the examination says so.
          client.subscribe(fleetChannel, options.onFleet).catch(() => undefined),
        ]),
      BROKEN_AFTER_MS,
    )
    await subscribed.then(
      () => {
        isSubscribed = true
        subscribedAtMs = performance.now()
        beat()
      },
      // The next beat tries again.
      () => undefined,
    )
  }

  function receive(text: string): void {
    const message = parseMessage(text)
    if (!message) {
      options.onUnknown()
      return
    }
    if (message.from === replica) return
    options.onMessage(message)
    if (message.at !== undefined) options.onApplied(Math.max(0, redisNow() - message.at))
  }

  function hearOneself(text: string): void {
    const [ofEpoch, sentAtMs] = text.split(' ').map(Number)
    if (ofEpoch === epoch && sentAtMs !== undefined) heardAtMs = Math.max(heardAtMs, sentAtMs)
    tellHealth()
  }

  function beat(): void {
    tellHealth()
    if (!connection.isConnected) return
    // Keeps the socket under the rule for connections that do not answer.
    connection.run(undefined, (client) => client.ping(), BROKEN_AFTER_MS).catch(() => undefined)
    const sound = `${epoch} ${performance.now()}`
    options
      .send((client) => client.publish(inbox, sound), BROKEN_AFTER_MS)
      .then(reopenWhenDeaf, () => undefined)
    if (!isSubscribed) void subscribe()
  }

  /** A server that was taken out of the cluster keeps its subscribers, and has nothing to tell them any more. */
  function reopenWhenDeaf(): void {
    const deafSinceMs = Math.max(heardAtMs, subscribedAtMs)
    if (isSubscribed && performance.now() - deafSinceMs > DEAF_AFTER_MS) connection.reopen()
  }

  function tellHealth(): void {
    const isSo = isHealthy()
    if (isSo !== wasHealthy) options.onHealth(isSo)
    wasHealthy = isSo
  }

  const writeMessage = (body: MessageBody) =>
    formatMessage({ ...body, from: replica, at: redisNow() })
  const timer = setInterval(beat, HEARTBEAT_MS).unref()

  return {
    get epoch() {
      return isHealthy() ? epoch : undefined
    },
    writeMessage,
    async publish(body) {
      const text = writeMessage(body)
      await options.send((client) => client.publish(channel, text), BROKEN_AFTER_MS)
    },
    close() {
      clearInterval(timer)
      return connection.close()
    },
  }
}
