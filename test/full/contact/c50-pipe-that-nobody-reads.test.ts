import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ADMIN_TOKEN } from '../../support/operator.ts'
import { print } from '../../support/printed.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'
import { makeUnreadPipe } from '../../support/unread-pipe.ts'
import { startVestibuleLoggingTo } from '../../support/vestibule-process.ts'

const UNREAD_MS = 60_000
const PAUSE_MS = 5
/** Unlimited lines per round, so that the buffer's bound is passed on a slow machine, too. */
const LINES_OF_OPERATORS = 8

/** Refusals with a code each, of which ten lines a second are written, as long as strangers can make them. */
const HOSTILE: readonly Readonly<Record<string, string>>[] = [
  { 'X-Forwarded-Host': 'foreign.example' },
  { 'X-Forwarded-Method': 'TRACE' },
  { 'X-Forwarded-Uri': 'no-path' },
  { 'X-Forwarded-Uri': '/oauth2/me' },
  { X_Auth_Request_User: 'root' },
]
const LONG = { 'X-Request-Id': 'x'.repeat(64), traceparent: '0'.repeat(55) }

test('C50: a pipe that nobody reads for a minute delays no check, and dropped lines are reported', {
  timeout: 120_000,
}, async () => {
  using pipe = makeUnreadPipe()
  const settings = { PUBLIC_PATHS: '/public/**', ADMIN_TOKEN }
  const operators = { path: '/admin/cache', headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } }
  await using vestibule = await startVestibuleLoggingTo(pipe.path, settings)
  using pool = createRequestPool(vestibule.internalPort, 4)
  const check = (headers: Readonly<Record<string, string>>) =>
    pool.send({ path: '/auth', headers: { ...forwardedNavigation, ...headers } })
  const slowestMs = { check: 0, livez: 0 }
  const timed = async (what: keyof typeof slowestMs, asked: Promise<{ status: number }>) => {
    const startedAtMs = performance.now()
    expect((await asked).status).toBe(200)
    slowestMs[what] = Math.max(slowestMs[what], performance.now() - startedAtMs)
  }
  let rounds = 0
  for (const endMs = performance.now() + UNREAD_MS; performance.now() < endMs; rounds += 1) {
    for (const headers of HOSTILE) {
      expect((await check({ ...headers, ...LONG })).status).toBeGreaterThanOrEqual(400)
    }
    await pool.sendMany(
      LINES_OF_OPERATORS,
      () => operators,
      ({ status }) => {
        expect(status).toBe(200)
      },
    )
    await timed('check', check({ 'X-Forwarded-Uri': '/public/x' }))
    await timed('livez', pool.send({ path: '/livez' }))
    await wait(PAUSE_MS)
  }
  const { body } = await vestibule.internal('/metrics')
  const dropped = Number(/^vestibule_log_lines_dropped_total (\d+)$/m.exec(body)?.[1])
  print(
    `C50 ${rounds} rounds, ${dropped} lines dropped, slowest check ${slowestMs.check.toFixed(0)} ms, /livez ${slowestMs.livez.toFixed(0)} ms`,
  )
  expect(dropped).toBeGreaterThan(0)
  expect(slowestMs.check).toBeLessThan(1500)
  let read = ''
  const told = () => Number(/"log_lines_dropped","count":(\d+)/.exec(read)?.[1])
  await expect
    .poll(
      () => {
        read += pipe.read()
        return told()
      },
      { timeout: 20_000 },
    )
    .toBe(dropped)
  expect(await vestibule.stop('SIGTERM')).toBe(0)
})
