import { expect } from 'vitest'
import { readMetric } from './outage.ts'
import { timed, until } from './own-lag.ts'
import { APP } from './relying-party.ts'
import { cookieHeader, LOGIN, SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visitor } from './visitor.ts'

/** A browser signed in at this replica, and the `Cookie` header that its checks carry. */
export async function signInAt(
  vestibule: RunningVestibule,
  sub = 'alice',
): Promise<{ browser: Visitor; cookie: string }> {
  const browser = vestibule.visitor()
  await browser.signIn(`${LOGIN}?rd=/oauth2/me`, sub)
  const cookie = cookieHeader(browser)
  if (!cookie?.includes(`${SESSION_COOKIE}=`)) throw new Error(`${sub} is not signed in`)
  return { browser, cookie }
}

/** The same browser, led to another replica from now on. */
export function move(browser: Visitor, to: RunningVestibule): Visitor {
  const moved = to.visitor()
  for (const cookie of browser.cookies.all()) moved.cookies.put(cookie)
  return moved
}

/** Asks until the answer comes out of memory: from now on only a message or its age makes the replica ask Redis. */
export async function keepInMemory(vestibule: RunningVestibule, cookie: string): Promise<void> {
  const fromMemory = () =>
    readMetric(vestibule, 'vestibule_checks_total{outcome="allow",source="memory"}')
  await until('a check out of memory', async () => {
    const before = await fromMemory()
    expect((await vestibule.check({}, { Cookie: cookie })).status).toBe(200)
    return (await fromMemory()) > before
  })
}

/** Asks until nobody is let in any more; how long that took, but for what this process was kept waiting. In between there is nothing but 200. */
export async function untilRefused(
  vestibule: RunningVestibule,
  cookie: string,
  withinMs = 60_000,
): Promise<number> {
  const { ownMs } = await timed(
    until(
      'a refusal',
      async () => {
        const { status, location } = await vestibule.check({}, { Cookie: cookie })
        expect([200, 302]).toContain(status)
        if (status === 302) expect(location).toContain(`${APP}/oauth2/login`)
        return status === 302
      },
      withinMs,
    ),
  )
  return ownMs
}

export async function isBackplaneHealthy(vestibule: RunningVestibule): Promise<boolean> {
  return (await readMetric(vestibule, 'vestibule_backplane_healthy')) === 1
}

export function untilBackplaneHealthy(vestibule: RunningVestibule): Promise<void> {
  return until('a healthy backplane', () => isBackplaneHealthy(vestibule))
}

/** Bytes by which the connection of a replica's subscription is recognised. */
export const SUBSCRIBER = /subscribe\r\n\$\d+\r\nvestibule:0:events\r\n/i
