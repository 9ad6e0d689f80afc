import { randomBytes } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { expectUndisturbed, startCheckLoads } from '../../support/check-load.ts'
import { useFolder } from '../../support/configuration.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { countEvents, readMetric, script } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** Key files are read again every five seconds. */
const READ_WITHIN_MS = 60_000
const INTEGRITY = 'vestibule_store_integrity_failures_total'
const [oldKey, newKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]

const folder = useFolder()
const replicas = prepared(() => startReplicas({ count: 0, settings: PATIENT }))

type Keyed = Awaited<ReturnType<typeof startKeyed>>

/** `write` replaces the file as a whole; `isRead` waits until the replica has taken it. */
async function startKeyed(name: string) {
  const keyFile = folder.pathOf(name)
  let writes = 0
  const write = async (...keys: readonly string[]) => {
    await writeFile(`${keyFile}.new`, `${keys.join('\n')}\n`)
    await rename(`${keyFile}.new`, keyFile)
    writes += 1
  }
  await write(oldKey)
  writes = 0
  const vestibule = await replicas().add({ SESSION_ENCRYPTION_KEY_FILE: keyFile })
  await untilStarted(vestibule)
  const isRead = () =>
    until('keys', () => countEvents(vestibule, 'keys_reloaded') === writes, READ_WITHIN_MS)
  return { vestibule, write, isRead }
}

/** A login begun at one replica that comes back to another. */
async function signInAcross(begin: RunningVestibule, end: RunningVestibule): Promise<string> {
  const begun = begin.visitor()
  const { location } = await begun.get(`${LOGIN}?rd=/`)
  const browser = move(begun, end)
  await browser.signIn(String(location), 'alice')
  return cookieHeader(browser) ?? ''
}

describeWithRedis('F41 rotation of the key', () => {
  test('a rotation in the right order causes no sign-in at any step', async () => {
    const fleet = await Promise.all(['a', 'b', 'c'].map(startKeyed))
    const everywhere = fleet.map(({ vestibule }) => vestibule)
    type Three = [VestibuleProcess, VestibuleProcess, VestibuleProcess]
    const [first, second, third] = everywhere as Three
    const cookies = [await first.signIn('alice')]
    const expectAllIn = async () => {
      for (const cookie of cookies) {
        for (const replica of everywhere) {
          const page = await replica.check({}, { Cookie: cookie })
          expect([page.status, page.headers['x-auth-request-user']]).toEqual([200, 'alice'])
          expect((await replica.check({}, { ...script, Cookie: cookie })).status).toBe(200)
        }
      }
    }
    const few = { perSecond: 50, connections: 2 }
    const loads = startCheckLoads(everywhere, String(cookies[0]), few)

    const signInEverywhere = async () => {
      cookies.push(
        await signInAcross(first, second),
        await signInAcross(second, third),
        await signInAcross(third, first),
      )
      await expectAllIn()
    }

    for (const { write } of fleet) await write(oldKey, newKey)
    await Promise.all(fleet.map(({ isRead }) => isRead()))
    await signInEverywhere()
    const [ahead, ...rest] = fleet as [Keyed, ...Keyed[]]
    await ahead.write(newKey, oldKey)
    await ahead.isRead()
    await signInEverywhere()
    for (const { write } of rest) await write(newKey, oldKey)
    await Promise.all(rest.map(({ isRead }) => isRead()))
    await signInEverywhere()
    await expectUndisturbed(loads)
    for (const replica of everywhere) {
      expect([await readMetric(replica, INTEGRITY), replica.isAlive()]).toEqual([0, true])
    }
  })

  test('a rotation in the wrong order shows in a metric, heals, and clears no cookie', async () => {
    const [hasty, slow] = (await Promise.all(['hasty', 'slow'].map(startKeyed))) as [Keyed, Keyed]
    const before = await hasty.vestibule.signIn('alice')
    await hasty.write(newKey, oldKey)
    await hasty.isRead()
    const after = await hasty.vestibule.signIn('bob')
    expect((await slow.vestibule.check({}, { Cookie: before })).status).toBe(200)
    expect(await readMetric(slow.vestibule, INTEGRITY)).toBe(0)

    const asked = await slow.vestibule.check({}, { Cookie: after })
    expect([asked.status, asked.setCookies]).toEqual([302, []])
    expect(await readMetric(slow.vestibule, INTEGRITY)).toBeGreaterThan(0)
    expect((await hasty.vestibule.check({}, { Cookie: after })).status).toBe(200)

    await slow.write(newKey, oldKey)
    await slow.isRead()
    const healed = await slow.vestibule.check({}, { Cookie: after })
    expect([healed.status, healed.headers['x-auth-request-user']]).toEqual([200, 'bob'])

    // Sessions that the old key sealed end with it; those that the new one sealed do not notice.
    for (const { write } of [hasty, slow]) await write(newKey)
    await Promise.all([hasty.isRead(), slow.isRead()])
    for (const { vestibule } of [hasty, slow]) {
      expect((await vestibule.check({}, { Cookie: after })).status).toBe(200)
      const ended = await vestibule.check({}, { Cookie: before })
      expect([ended.status, ended.setCookies]).toEqual([302, []])
      expect(vestibule.isAlive()).toBe(true)
    }
  })
})
