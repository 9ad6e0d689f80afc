import type { Fired } from './promtool.ts'

interface Incident {
  /** Alerts that fire in the incident, with the minutes of its hour for which they do. */
  readonly during: Fired
  /** Alerts that still fire an hour later. */
  readonly after?: readonly string[]
}

export type IncidentName = keyof typeof table

const table = {
  calm: { during: {} },
  'Redis is killed': {
    during: {
      VestibuleBreakerOpen: 57,
      VestibuleChecksRefused: 58,
      VestibuleDegradedDecisions: 55,
      VestibuleL1HitRatioLow: 5,
      VestibuleMessagesMissed: 55,
      VestibuleRedisAway: 58,
      VestibuleRevocationsWaiting: 55,
    },
  },
  'Redis is frozen': {
    during: {
      VestibuleBreakerOpen: 57,
      VestibuleChecksRefused: 58,
      VestibuleDegradedDecisions: 54,
      VestibuleL1HitRatioLow: 5,
      VestibuleMessagesMissed: 55,
      VestibuleRedisAway: 58,
      VestibuleRevocationsWaiting: 55,
    },
  },
  'Redis is a replica': {
    during: {
      VestibuleL1HitRatioLow: 5,
      VestibuleRedisStopsSignIn: 58,
      VestibuleRevocationsWaiting: 55,
    },
  },
  'Redis is full': {
    during: {
      VestibuleL1HitRatioLow: 5,
      VestibuleRedisMemoryHigh: 50,
      VestibuleRedisStopsSignIn: 58,
    },
  },
  'Redis is nearly full': { during: { VestibuleRedisMemoryHigh: 50 } },
  'Redis evicts': { during: { VestibuleRedisEvicts: 55 } },
  'Redis is slow': { during: { VestibuleChecksSlow: 44, VestibuleRedisSlow: 47 } },
  'Redis comes back empty': { during: { VestibuleRedisDataChanged: 15 } },
  'messages do not arrive': { during: { VestibuleMessagesMissed: 55 } },
  'the provider is away at the start': { during: { VestibuleProviderNotDiscovered: 55 } },
  'the token endpoint fails': { during: { VestibuleSignInsFail: 54 } },
  'the provider refuses the client': { during: { VestibuleSignInsFail: 54 } },
  'strangers forge callbacks': { during: { VestibuleSignInsRefused: 54 } },
  'sign-ins start over': { during: { VestibuleSignInLoops: 57, VestibuleSignInsFail: 53 } },
  'the provider refreshes nothing': { during: { VestibuleRefreshesFail: 53 } },
  'the provider refuses its refresh tokens': { during: { VestibuleRefreshesRefused: 53 } },
  'the provider sends tokens without a type': { during: { VestibuleRefreshesRejected: 60 } },
  'the keys for logouts are away': { during: { VestibuleBackchannelLogoutsFail: 60 } },
  'a logout is sent again and again': { during: { VestibuleReplaysRefused: 60 } },
  'a clock is wrong': {
    during: { VestibuleClockOffset: 55, VestibuleReplicasDisagree: 50 },
    after: ['VestibuleOneReplicaLeft'],
  },
  'keys differ': {
    during: { VestibuleReplicasIncompatible: 50, VestibuleStoreIntegrityFailures: 58 },
    after: ['VestibuleReplicasIncompatible'],
  },
  'a replica is killed': {
    during: { VestibuleOneReplicaLeft: 45, VestibuleReplicaDown: 50 },
    after: ['VestibuleOneReplicaLeft'],
  },
  'all replicas are killed': {
    during: { VestibuleGone: 57, VestibuleReplicaDown: 50 },
    after: ['VestibuleGone'],
  },
  'a replica restarts': { during: { VestibuleRestarts: 25 } },
  'rules cannot be used': { during: { VestibuleRulesNotReloaded: 58 } },
  'a certificate ends': {
    during: { VestibuleCertificateExpires: 45 },
    after: ['VestibuleCertificateExpires', 'VestibuleCertificateExpiresToday'],
  },
  'nobody reads the log': { during: { VestibuleLogLinesDropped: 60 } },
  'somebody sends look-alikes of headers': { during: { VestibuleAliasHeaders: 58 } },
  'cookies of sessions that are over': { during: { VestibuleL1HitRatioLow: 14 } },
  'the event loop is kept busy': { during: { VestibuleEventLoopBusy: 50 } },
  'a replica has no room for streams': { during: { VestibuleEventStreamsRefused: 60 } },
} as const satisfies Readonly<Record<string, Incident>>

/** Alerts that fire in each incident that test/full/faults/alerts.test.ts causes, and no others. */
export const INCIDENTS: Readonly<Record<IncidentName, Incident>> = table
