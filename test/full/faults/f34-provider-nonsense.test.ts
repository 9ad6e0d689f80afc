import { afterEach, describe, expect, test } from 'vitest'
import { countEvents } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { type Behaviour, faults } from '../../support/provider.ts'
import { APP, startRelyingParty } from '../../support/relying-party.ts'

const party = prepared(() => startRelyingParty({ OIDC_USERINFO: 'always' }))
afterEach(() => party().provider.reset())

const json = { 'Content-Type': 'application/json' }
const nonsense: Readonly<Record<string, Behaviour>> = {
  'HTML with 200': faults.html,
  'HTML with 502': faults.badGateway,
  'JSON cut off': faults.truncatedJson,
  'an empty object': faults.emptyObject,
  'a list': faults.notAnObject,
  'JSON under text/plain': faults.wrongContentType,
  '10 MB': faults.tenMegabytes,
  'a redirect': faults.redirect,
  'an empty body': { status: 200, headers: json, body: '' },
  'bytes that are no UTF-8': { status: 200, headers: json, body: '\ufffd\ufffe{' },
  'an error with 200': { status: 200, headers: json, body: '{"error":"invalid_grant"}' },
  '204': { status: 204, body: '' },
}
const cases = (['token', 'userinfo'] as const).flatMap((endpoint) =>
  Object.entries(nonsense).map(([name, behaviour]) => [endpoint, name, behaviour] as const),
)

async function residentBytes(): Promise<number> {
  const { body } = await party().vestibule.internal('/metrics')
  return Number(/^vestibule_process_resident_memory_bytes (\S+)$/m.exec(body)?.[1])
}

function refusals() {
  return party()
    .vestibule.log()
    .filter(({ event }) => event === 'refused')
}

describe('F34 provider that answers nonsense', () => {
  test.for(cases)('%s: %s is a page and one line in the log', async ([endpoint, , behaviour]) => {
    const before = countEvents(party().vestibule, 'refused')
    const linesBefore = refusals().length
    party().provider.set(endpoint, behaviour)
    const { answer, isSignedIn, browser } = await party().attempt()
    expect([502, 503]).toContain(answer.status)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.location).toBeUndefined()
    expect(isSignedIn).toBe(false)
    expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
    await expect.poll(() => countEvents(party().vestibule, 'refused') - before).toBe(1)
    for (const line of refusals().slice(linesBefore)) {
      expect(line).toMatchObject({ status: answer.status })
      expect(String(line['reason'])).toMatch(/^the (?:token endpoint of the )?provider/)
    }
  })

  test('answers of 10 MB do not make the process grow by them', async () => {
    party().provider.set('token', faults.tenMegabytes)
    await party().attempt()
    const before = await residentBytes()
    for (let round = 0; round < 8; round += 1) await party().attempt()
    const grownMb = ((await residentBytes()) - before) / 1024 / 1024
    expect(grownMb).toBeLessThan(40)
  })

  test('a key set that is a page fails the sign-in until it is one', async () => {
    await using fresh = await startRelyingParty()
    fresh.provider.set('jwks', faults.html)
    const { answer, isSignedIn } = await fresh.attempt()
    expect([502, 503]).toContain(answer.status)
    expect(isSignedIn).toBe(false)
    fresh.provider.reset()
    const signsIn = async () => (await fresh.attempt()).isSignedIn
    await expect.poll(signsIn, { timeout: 5000, interval: 300 }).toBe(true)
  })

  test('afterwards the service signs people in', async () => {
    expect((await party().attempt()).isSignedIn).toBe(true)
    expect(party().vestibule.isAlive()).toBe(true)
    expect(
      party()
        .vestibule.log()
        .map(({ code }) => code),
    ).not.toContain('internal')
    expect((await party().vestibule.visitor().get(`${APP}/healthz`)).status).toBe(200)
  })
})
