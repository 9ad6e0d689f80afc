import { expect, test } from 'vitest'
import { countEvents } from '../support/outage.ts'
import { startTestProvider } from '../support/provider.ts'
import { APP } from '../support/relying-party.ts'
import { SERVER_KEY } from '../support/replicas.ts'
import { returnFromProvider, startLogin } from '../support/sign-in-steps.ts'
import { startVestibule } from '../support/vestibule.ts'

test('memory mode: a login that comes back from another replica gives the second one away, in one line', async () => {
  await using provider = await startTestProvider({ origins: [APP] })
  const start = () =>
    startVestibule({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
    })
  await using one = await start()
  await using second = await start()
  await using third = await start()
  const arrivals = [one, second, third, second, third]
  for (const arrival of arrivals) {
    const browser = one.visitor()
    const callback = await returnFromProvider(browser, await startLogin(browser))
    const there = arrival.visitor()
    for (const cookie of browser.cookies.all()) there.cookies.put(cookie)
    expect((await there.get(callback)).status).toBe(302)
  }
  const [ofOne = 0, ...ofOthers] = [one, second, third].map((each) =>
    countEvents(each, 'second_replica'),
  )
  expect(ofOne).toBe(0)
  // A process has one of 64 marks, so that one of the two may be taken for the first.
  expect(Math.max(...ofOthers)).toBe(1)
})
