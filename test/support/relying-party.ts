import { startTestProvider, type TestProvider, type TestProviderOptions } from './provider.ts'
import { startVestibule } from './vestibule.ts'

/** Vestibule and a provider that can misbehave, known to each other. */
export type RelyingParty = Awaited<ReturnType<typeof startRelyingParty>>

export const APP = 'https://app.example.com'

export const startRelyingParty = async (
  settings: Readonly<Record<string, string>> = {},
  providerOptions: TestProviderOptions = {},
  /** Prepares the provider before Vestibule discovers it. */
  prepare: (provider: TestProvider) => unknown = () => undefined,
  start: typeof startVestibule = startVestibule,
) => {
  const provider = await startTestProvider({ origins: [APP], ...providerOptions })
  await prepare(provider)
  const vestibule = await start({
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_ID: provider.clientId,
    OIDC_CLIENT_SECRET: provider.clientSecret,
    ...settings,
  }).catch(async (error: unknown) => {
    await provider.close()
    throw error
  })

  const attempt = async (sub: string = 'alice') => {
    const browser = vestibule.visitor()
    const last = await browser.signIn(`${APP}/oauth2/login?rd=/`, sub)
    const answer = browser.trail.find(({ url }) => isCallback(url)) ?? last
    const cookie = browser.cookies.header(new URL(APP))
    const checked = await vestibule.check({}, { Cookie: cookie })
    const isSignedIn = checked.status === 200
    return { browser, answer, isSignedIn, identity: isSignedIn ? checked.headers : undefined }
  }

  const untilCallback = async (sub: string = 'alice') => {
    const browser = vestibule.visitor()
    const page = await browser.browse(`${APP}/oauth2/login?rd=/`)
    const form = /<form method="post"/.test(page.body)
    if (!form) throw new Error(`no sign-in page at ${page.url} (${page.status})`)
    let visit = await browser.post(page.url, { login: sub })
    while (visit.location && !isCallback(visit.location)) visit = await browser.get(visit.location)
    if (!visit.location) throw new Error(`no callback after ${visit.url} (${visit.status})`)
    return { browser, callbackUrl: visit.location }
  }

  return {
    provider,
    vestibule,
    /** A fresh browser opens a protected page, signs in, and asks the check what it is now. */
    attempt,
    /** A fresh browser at the provider's redirect to `/oauth2/callback`, which it has not followed yet. */
    untilCallback,
    [Symbol.asyncDispose]: async () => {
      await vestibule.stop()
      await provider.close()
    },
  }
}

const isCallback = (url: string): boolean => url.startsWith(`${APP}/oauth2/callback`)
