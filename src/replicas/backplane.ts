import type { Command } from '../redis/client.ts'
import type { ConnectOptions, RedisConnection } from '../redis/connection.ts'
import type { FailureReport } from '../redis/describe-failure.ts'
import { BROKEN_AFTER_MS, createHeartbeat } from './heartbeat.ts'
import { type BackplaneMessage, formatMessage, type MessageBody, parseMessage } from './message.ts'

/** Publishes changes to all replicas through Redis pub/sub. */
export interface Backplane {
  /**
   * Number of the present subscription while messages are known to arrive, `undefined` otherwise. State kept under
   * another number may have missed a message.
   */
  readonly subscription: number | undefined
  /** Publishes to all other replicas. Throws `AuthError` `store_unavailable` when the message cannot be sent. */
  publish(body: MessageBody): Promise<void>
}

/** Backplane as its owner sees it, who closes it. */
export interface OpenBackplane extends Backplane {
  /** Returns `body` with sender and time as text, for scripts that publish. */
  readonly writeMessage: (body: MessageBody) => string
  /** Cause for which the subscriber is not connected; `undefined` while it is. */
  readonly loss: FailureReport | undefined
  close(): Promise<void>
}

export interface BackplaneOptions {
  readonly channel: string
  /** Second channel, whose texts go to `onFleet` unread. */
  readonly fleetChannel: string
  readonly replica: string
  readonly connect: (
    observers: Pick<ConnectOptions, 'onConnected' | 'onDisconnected'>,
  ) => RedisConnection
  /** Sends over the connection for commands, because a subscriber cannot publish. */
  readonly send: <T>(command: Command<T>, timeoutMs: number) => Promise<T>
  /** Returns milliseconds of Redis's clock as far as its offset is known. */
  readonly redisNow: () => number
  readonly onMessage: (message: BackplaneMessage) => void
  /** Called for a message that this version does not understand, after which anything may have changed. */
  readonly onUnknown: () => void
  readonly onFleet: (text: string) => void
  /** Called with the time from publication to receipt. */
  readonly onApplied: (delayMs: number) => void
  readonly onHealth: (isHealthy: boolean) => void
}

const HEARTBEAT_MS = 1000

/**
 * Subscribes, and sends a heartbeat to this replica each second. An open socket and an accepted `PUBLISH` do not prove
 * that messages arrive, because a half-open connection (fault F23) and a loading Redis (F11) look the same.
 */
export function openBackplane(options: BackplaneOptions): OpenBackplane {
  const { channel, fleetChannel, replica, redisNow } = options
  const inbox = `${channel}:${replica}`
  const heartbeat = createHeartbeat()
  let wasHealthy = false

  const connection = options.connect({
    onConnected: () => void subscribe(),
    onDisconnected() {
      heartbeat.onDisconnected()
      reportHealth()
    },
  })

  async function subscribe(): Promise<void> {
    const subscribed = connection.run(
      undefined,
      (client) =>
        Promise.all([
          client.subscribe(channel, receiveMessage),
          client.subscribe(inbox, receiveOwnHeartbeat),
          // Ignores a refusal of this channel alone, because the examination reports it.
          client.subscribe(fleetChannel, options.onFleet).catch(() => undefined),
        ]),
      BROKEN_AFTER_MS,
    )
    await subscribed.then(
      () => {
        heartbeat.onSubscribed()
        beat()
      },
      // Leaves the retry to the next beat.
      () => undefined,
    )
  }

  function receiveMessage(text: string): void {
    const message = parseMessage(text)
    if (!message) {
      options.onUnknown()
      return
    }
    if (message.from === replica) return
    options.onMessage(message)
    if (message.at !== undefined) options.onApplied(Math.max(0, redisNow() - message.at))
  }

  function receiveOwnHeartbeat(text: string): void {
    heartbeat.receive(text)
    reportHealth()
  }

  function beat(): void {
    reportHealth()
    if (!connection.isConnected) return
    // Keeps a command in flight, by whose age a connection that does not answer is found.
    connection.run(undefined, (client) => client.ping(), BROKEN_AFTER_MS).catch(() => undefined)
    const text = heartbeat.next()
    options
      .send((client) => client.publish(inbox, text), BROKEN_AFTER_MS)
      .then(reopenWhenSilent, () => undefined)
    if (!heartbeat.isSubscribed) void subscribe()
  }

  /**
   * Reconnects a silent subscriber, because a server taken out of its cluster keeps its subscribers without messages.
   */
  function reopenWhenSilent(): void {
    if (heartbeat.isSilent) connection.reopen()
  }

  function reportHealth(): void {
    const { isHealthy } = heartbeat
    if (isHealthy !== wasHealthy) options.onHealth(isHealthy)
    wasHealthy = isHealthy
  }

  const writeMessage = (body: MessageBody) =>
    formatMessage({ ...body, from: replica, at: redisNow() })
  const timer = setInterval(beat, HEARTBEAT_MS).unref()

  return {
    get subscription() {
      return heartbeat.isHealthy ? heartbeat.subscription : undefined
    },
    writeMessage,
    get loss() {
      return connection.loss
    },
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
