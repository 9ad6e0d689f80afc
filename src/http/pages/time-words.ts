import { html } from 'hono/html'
import type { EpochMs } from '../../core/epoch-ms.ts'
import type { Markup } from './layout.ts'

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const
const DISTANCE = new Intl.RelativeTimeFormat('en')
/** Coordinated universal time, because a page without scripts does not know its reader's zone. */
const MOMENT = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'medium',
  timeStyle: 'short',
  timeZone: 'UTC',
})

/** Returns how far a time is from now, such as `2 hours ago` or `in 5 minutes`. */
export function distanceWords(at: EpochMs, now: EpochMs): string {
  const away = at - now
  const unit = UNITS.find(([, ms]) => Math.abs(away) >= ms)
  if (unit) return DISTANCE.format(Math.trunc(away / unit[1]), unit[0])
  return away > 0 ? 'in less than a minute' : 'just now'
}

/** Returns a time for people and for programs. */
export function timeMarkup(at: EpochMs, now: EpochMs): Markup {
  const machine = new Date(at).toISOString()
  return html`${distanceWords(at, now)} <time datetime="${machine}">${MOMENT.format(at)} UTC</time>`
}
