import type { GuardedRedis } from '../../redis/guarded.ts'
import type { MessageBody } from '../../replicas/message.ts'

export interface RedisPortOptions {
  readonly redis: GuardedRedis
  /** Prefix of every key. */
  readonly prefix: string
  /** Channel on which other replicas are told of changes. */
  readonly channel: string
  /** Returns the message to publish from within a script. */
  readonly writeMessage: (body: MessageBody) => string
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
}
