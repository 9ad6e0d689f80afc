import type { Fired } from './promtool.ts'

interface Incident {
  /** Alerts that fire in the incident, with the minutes of its hour for which they do. */
  readonly during: Fired
  /** Alerts that still fire an hour and a quarter later. */
  readonly after?: readonly string[]
}

export type IncidentName = keyof typeof table

const table = {
  calm: { during: {} },
  'Redis is killed': { during: {} },
  'Redis is frozen': { during: {} },
  'Redis is a replica': { during: {} },
  'Redis is full': { during: {} },
  'Redis is nearly full': { during: {} },
  'Redis evicts': { during: {} },
  'Redis is slow': { during: {} },
  'Redis comes back empty': { during: {} },
  'messages do not arrive': { during: {} },
  'the provider is away at the start': { during: {} },
  'the token endpoint fails': { during: {} },
  'sign-ins start over': { during: {} },
  'the provider refreshes nothing': { during: {} },
  'the provider refuses its refresh tokens': { during: {} },
  'the provider sends tokens without a type': { during: {} },
  'the keys for logouts are away': { during: {} },
  'a logout is sent again and again': { during: {} },
  'a clock is wrong': { during: {} },
  'keys differ': { during: {} },
  'a replica is killed': { during: {} },
  'all replicas are killed': { during: {} },
  'a replica restarts': { during: {} },
  'rules cannot be used': { during: {} },
  'a certificate ends': { during: {} },
  'nobody reads the log': { during: {} },
  'somebody sends look-alikes of headers': { during: {} },
  'cookies of sessions that are over': { during: {} },
  'the event loop is kept busy': { during: {} },
  'a replica has no room for streams': { during: {} },
} as const satisfies Readonly<Record<string, Incident>>

/** Alerts that fire in each incident that test/full/faults/alerts.test.ts causes, and no others. */
export const INCIDENTS: Readonly<Record<IncidentName, Incident>> = table
