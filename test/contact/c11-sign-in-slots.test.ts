import { afterEach, describe, expect, test } from 'vitest'
import { createSignInSlots } from '../../src/session/sign-in/slots.ts'
import { prepared } from '../support/prepared.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { sentAlong, startLogin, untilCallback, withQuery } from '../support/sign-in-steps.ts'

describe('C11: slots for token requests', () => {
  const busy = expect.objectContaining({ code: 'busy' }) as Error

  test.for([
    [3, true, 3],
    [4, true, 1],
    [50, true, 12],
    [4, false, 4],
    [50, false, 50],
  ] as const)(
    'C11: of %i slots one address (known: %s) may hold %i, and others the rest',
    ([total, isTold, share]) => {
      const slots = createSignInSlots(total)
      const take = () => slots.take({ address: 'a', isTold })
      const held = Array.from({ length: share }, take)
      expect(take).toThrow(busy)
      const others = Array.from({ length: total - share }, (_, at) =>
        slots.take({ address: `b${at}`, isTold: true }),
      )
      expect(() => slots.take({ address: 'c', isTold: true })).toThrow(busy)
      for (const giveBack of [...held, ...others]) giveBack()
      expect(Array.from({ length: share }, take)).toHaveLength(share)
    },
  )
})

describe('C11: made-up codes from one address, at a provider that is slow', () => {
  const LOOPS = 30
  const SHARE = 12
  const PEOPLE = 20
  const START_WITHIN_MS = 60_000
  const party = prepared(() => startRelyingParty(), START_WITHIN_MS)
  afterEach(() => party().provider.reset())

  const from = (address: string) => ({ headers: { 'X-Forwarded-For': address } })

  test.for([
    [
      'an IPv4 address, with and without a port',
      (at: number) => `203.0.113.66${at % 2 ? '' : `:${at + 1024}`}`,
    ],
    ['many addresses of one IPv6 network', (at: number) => `2001:db8:0:66::${at + 1}`],
  ] as const)(
    'C11: sign-ins from %s hold at most a quarter of the slots, and all others succeed',
    async ([, addressOf]) => {
      const { provider, vestibule } = party()
      provider.forgetRequests()
      const hostile = await Promise.all(
        Array.from({ length: LOOPS }, async (_, at) => {
          const browser = vestibule.visitor()
          const url = withQuery(`${APP}/oauth2/callback`, {
            state: sentAlong(await startLogin(browser), 'state'),
            code: `made-up-${at}`,
            iss: provider.issuer,
          })
          return { browser, url, options: from(addressOf(at)) }
        }),
      )
      const people = await Promise.all(
        Array.from({ length: PEOPLE }, async (_, at) => {
          const browser = vestibule.visitor()
          return { browser, url: await untilCallback(browser), options: from(`198.51.100.${at}`) }
        }),
      )
      const released = Promise.withResolvers<void>()
      provider.set('token', { after: released.promise })
      const visits = (all: typeof hostile) =>
        all.map(async ({ browser, url, options }) => (await browser.get(url, options)).status)

      const refused = Promise.all(visits(hostile))
      await expect.poll(() => provider.count('token')).toBe(SHARE)
      const signedIn = Promise.all(visits(people))
      await expect.poll(() => provider.count('token')).toBe(SHARE + PEOPLE)
      released.resolve()
      expect(await signedIn).toEqual(Array(PEOPLE).fill(302))
      expect((await refused).toSorted((a, b) => a - b)).toEqual([
        ...Array<number>(SHARE).fill(400),
        ...Array<number>(LOOPS - SHARE).fill(503),
      ])
      expect(provider.count('token')).toBe(SHARE + PEOPLE)
    },
  )
})
