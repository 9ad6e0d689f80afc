import type { Notice } from '../notices.ts'
import { type Duration, durationOf } from '../settings/setting-kinds.ts'
import type { Settings } from '../settings/settings.ts'
import type { GivenSettings } from '../sources/given.ts'
import type { RedisAddress } from './server.ts'
import { nameOfAddress } from './servers.ts'

/** Time limit that the address gives, in place of a setting. */
export interface AddressTimeout {
  readonly name: 'REDIS_CONNECT_TIMEOUT' | 'REDIS_READ_TIMEOUT' | 'REDIS_WRITE_TIMEOUT'
  readonly option: string
  readonly limit: Duration
}

/** Returns the time limits of the address; refuses one that a setting gives otherwise, as with the database. */
export function timeoutsOf(
  settings: Settings,
  given: GivenSettings,
  address: RedisAddress | undefined,
  problems: string[],
): AddressTimeout[] {
  const limits = [
    ['REDIS_CONNECT_TIMEOUT', 'connectTimeout', address?.connectTimeoutMs],
    ['REDIS_READ_TIMEOUT', 'syncTimeout', address?.commandTimeoutMs],
    ['REDIS_WRITE_TIMEOUT', 'syncTimeout', address?.commandTimeoutMs],
  ] as const
  return limits.flatMap(([name, option, ms]) => {
    if (ms === undefined) return []
    if (given.has(name) && settings[name].ms !== ms) {
      problems.push(`${name}: differs from ${option} in the address: remove one of them`)
    }
    return [{ name, option, limit: durationOf(ms / 1000) }]
  })
}

/** Returns what of the settings of Redis has no effect. */
export function noticesOf(
  settings: Settings,
  given: GivenSettings,
  address: RedisAddress | undefined,
): Notice[] {
  const setting = nameOfAddress(settings)
  const options = address?.ignoredOptions ?? []
  const notices = options.map((option): Notice => ({ kind: 'ignored-option', setting, option }))
  if (!given.has('REDIS_POOL_SIZE')) return notices
  const reason = 'one pipelined connection serves a replica'
  return [...notices, { kind: 'not-needed', setting: 'REDIS_POOL_SIZE', reason }]
}
