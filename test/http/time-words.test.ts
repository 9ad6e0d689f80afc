import { expect, test } from 'vitest'
import { distanceWords, timeMarkup } from '../../src/http/pages/time-words.ts'

const NOW = Date.UTC(2026, 10, 29, 22, 4, 5)
const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000]

test.for([
  [0, 'just now'],
  [-59 * SECOND, 'just now'],
  [59 * SECOND, 'in less than a minute'],
  [-MINUTE, '1 minute ago'],
  [-59 * MINUTE, '59 minutes ago'],
  [90 * MINUTE, 'in 1 hour'],
  [-2 * HOUR, '2 hours ago'],
  [DAY - 1, 'in 23 hours'],
  [-40 * DAY, '40 days ago'],
] as const)('a time %i ms away is %s', ([away, words]) =>
  expect(distanceWords(NOW + away, NOW)).toBe(words),
)

test('a page has a time for people and one for programs', async () =>
  expect(String(await timeMarkup(NOW - HOUR, NOW))).toBe(
    '1 hour ago <time datetime="2026-11-29T21:04:05.000Z">29 Nov, 21:04 UTC</time>',
  ))
