import type { EpochMs } from '../../core/epoch-ms.ts'
import { OutageError } from '../../errors.ts'
import { connectRedis, type RedisConnection } from '../../redis/connection.ts'
import type { SelfTestNames } from '../../redis/examine/try-commands.ts'
import type { RedisTarget } from '../../redis/target.ts'
import { factsOfReport } from '../../redis/unavailable.ts'
import {
  type BackplaneOptions,
  type OpenBackplane,
  openBackplane,
} from '../../replicas/backplane.ts'
import { type Fingerprint } from '../../replicas/differences.ts'
import { createFleet, type Fleet } from '../../replicas/fleet.ts'
import { keepAnnouncing } from '../../replicas/keep-announcing.ts'
import type { StateListeners } from '../shared-state.ts'
import type { RedisObserver } from './observer.ts'
import { createOpener } from './open-target.ts'

export interface OpenReplicasOptions {
  readonly target: () => RedisTarget
  readonly connectTimeoutMs: number
  readonly probeTimeoutMs: number
  /** Connection for commands, over which messages are published. */
  readonly connection: RedisConnection
  readonly names: SelfTestNames
  /** Random identifier of this replica. */
  readonly replica: string
  readonly fingerprint: () => Fingerprint
  readonly observer: RedisObserver
  readonly listeners: Pick<StateListeners, 'onMessage' | 'onSubscribed' | 'onUnknownMessage'>
  /** Wall clock in milliseconds. */
  readonly now: () => EpochMs
  /** Returns milliseconds of Redis's clock as far as its offset is known. */
  readonly redisNow: () => number
}

/** Backplane to the other replicas, and what is known of them. */
export interface Replicas {
  readonly backplane: OpenBackplane
  readonly fleet: Fleet
  /** Announces this replica to the others at once. */
  readonly announce: () => void
  /** Says goodbye to the other replicas. */
  leave(): Promise<void>
  close(): Promise<void>
}

/** Time after which the connection for commands would have been lost as well. */
const ALONE_AFTER_MS = 1000

/** Subscribes to the other replicas' messages over a second connection and announces this replica. */
export function openReplicas(options: OpenReplicasOptions): Replicas {
  const { connection, names, replica, observer, listeners, probeTimeoutMs } = options
  const fleet = createFleet({ ...options, onOtherInstallation: observer.onOtherInstallation })
  const announcer = keepAnnouncing({
    fleet,
    publish: (text) =>
      connection.run(
        undefined,
        (client) => client.publish(names.fleetChannel, text),
        probeTimeoutMs,
      ),
    onFleet: observer.onFleet,
  })
  const backplane = openBackplane({
    ...names,
    replica,
    connect: (observers) => connectSubscriber(observers, options),
    // Refuses before the first connection without counting a failure.
    send: (command, timeoutMs) =>
      connection.isConnected
        ? connection.run(undefined, command, timeoutMs)
        : Promise.reject(notConnected(connection)),
    redisNow: options.redisNow,
    onMessage: (message) => listeners.onMessage(message),
    onUnknown() {
      observer.onUnknownMessage()
      listeners.onUnknownMessage()
    },
    onFleet: announcer.receive,
    onApplied: observer.onApplied,
    onHealth(isHealthy) {
      observer.onBackplane(isHealthy)
      if (!isHealthy) return
      announcer.announce()
      listeners.onSubscribed()
    },
  })
  return {
    backplane,
    fleet,
    announce: announcer.announce,
    leave: announcer.leave,
    async close() {
      await announcer.leave()
      await backplane.close()
    },
  }
}

/** Opens the second connection, and reports its loss alone, which leaves no other line (finding C58). */
function connectSubscriber(
  { onConnected, onDisconnected }: Parameters<BackplaneOptions['connect']>[0],
  { connection, observer, target, connectTimeoutMs }: OpenReplicasOptions,
): RedisConnection {
  const { onFailure } = observer
  let reporting: NodeJS.Timeout | undefined

  function reportLater(): void {
    reporting ??= setTimeout(() => {
      reporting = undefined
      if (subscriber.loss && connection.isConnected) observer.onBackplaneAway(subscriber.loss)
    }, ALONE_AFTER_MS).unref()
  }

  const subscriber = connectRedis({
    onConnected,
    onDisconnected(report) {
      onDisconnected(report)
      reportLater()
    },
    open: createOpener({ target, connectTimeoutMs, purpose: 'subscription', onFailure }),
    onStillAway: reportLater,
    onFailure,
  })
  return subscriber
}

function notConnected({ loss }: RedisConnection): OutageError {
  return new OutageError('Redis: connection', undefined, loss && factsOfReport(loss))
}
