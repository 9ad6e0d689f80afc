import type { SelfTestNames } from '../../redis/examine/try-commands.ts'

/** One channel for all installations, so that replicas with different prefixes receive each other's announcements. */
const FLEET_CHANNEL = 'vestibule:fleet'

/** Returns the names that an installation uses in a database. */
export function namesIn(prefix: string, database: number): SelfTestNames {
  return { prefix, channel: `${prefix}${database}:events`, fleetChannel: FLEET_CHANNEL }
}
