import { hash } from 'node:crypto'
import { type KeyPart, recordKey } from '../../src/store/store.ts'
import { type Replicas, untilStarted } from './replicas.ts'
import { SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'

/** Returns the bytes by which a replica reads the identity of a session, and which no other command contains. */
export const readOf = (cookie: string): string => {
  const key = storedSession(cookie).keyOf('identity')
  return `GET\r\n$${key.length}\r\n${key}`
}

export type StoredSession = ReturnType<typeof storedSession>

export const storedSession = (cookie: string) => {
  const [, id = ''] = new RegExp(`${SESSION_COOKIE}=v1\\.([^.;]+)`).exec(cookie) ?? []
  const digest = hash('sha256', id, 'base64url')
  return { cookie, digest, keyOf: (part: KeyPart) => recordKey('vestibule:', digest, part) }
}

/** A replica that has met its Redis, and reaches it without the network that can fail. */
export const addDirectly = async <Replica extends RunningVestibule>(
  replicas: Replicas<Replica>,
  settings: Readonly<Record<string, string>> = {},
): Promise<Replica> => {
  const direct = { REDIS_ADDRESS: `127.0.0.1:${replicas.redis.port}` }
  const replica = await replicas.add({ ...direct, ...settings })
  await untilStarted(replica)
  return replica
}
