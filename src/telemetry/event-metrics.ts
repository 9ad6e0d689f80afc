import { Counter, type Registry } from 'prom-client'

/** Reasons for which a stream was closed, as labels; each starts at 0. */
const CLOSE_REASONS = ['left', 'session-ended', 'slow', 'surplus', 'draining'] as const

/** Kinds of events that pages receive, as labels; each starts at 0. */
const EVENT_KINDS = ['session-ended', 'session-renewed', 'broadcast'] as const

/** Counters of streams to open pages and of what they carry; each call counts one event but `eventsSent`. */
export interface EventMetrics {
  broadcast(): void
  streamRefused(): void
  streamClosed(reason: (typeof CLOSE_REASONS)[number]): void
  eventsSent(kind: (typeof EVENT_KINDS)[number], count: number): void
}

export function createEventMetrics(registry: Registry): EventMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `vestibule_${name}_total`, help, labelNames, registers })
  const broadcasts = counter('broadcasts', 'Broadcasts that this replica has accepted')
  const refused = counter(
    'event_streams_refused',
    'Streams refused because this replica has as many as it may',
  )
  const closed = counter('event_streams_closed', 'Closed streams to pages', ['reason'])
  for (const reason of CLOSE_REASONS) closed.inc({ reason }, 0)
  const events = counter('events_sent', 'Events written to pages', ['kind'])
  for (const kind of EVENT_KINDS) events.inc({ kind }, 0)
  return {
    broadcast: () => broadcasts.inc(),
    streamRefused: () => refused.inc(),
    streamClosed: (reason) => closed.inc({ reason }),
    eventsSent: (kind, count) => events.inc({ kind }, count),
  }
}
