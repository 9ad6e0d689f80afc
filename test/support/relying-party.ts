import { startTestProvider, type TestProvider, type TestProviderOptions } from './provider.ts'
import { type RunningVestibule, startVestibule } from './vestibule.ts'
import type { Visit, Visitor } from './visitor.ts'

/** One try at signing in: what the browser saw, and whether a session came of it. */
export interface SignInAttempt {
  readonly browser: Visitor
  /** The answer at `/oauth2/callback`, or the last one when the browser never got there. */
  readonly answer: Visit
  /** The identity headers of the check; nothing without a session. */
  readonly identity: Visit['headers'] | undefined
  readonly isSignedIn: boolean
}

/** Vestibule and a provider that can misbehave, known to each other. */
export interface RelyingParty extends AsyncDisposable {
  readonly provider: TestProvider
  readonly vestibule: RunningVestibule
  /** A fresh browser opens a protected page, signs in, and asks the check what it is now. */
  readonly attempt: (sub?: string) => Promise<SignInAttempt>
  /** A fresh browser at the provider's redirect to `/oauth2/callback`, which it has not followed yet. */
  readonly untilCallback: (sub?: string) => Promise<{ browser: Visitor; callbackUrl: string }>
}

export const APP = 'https://app.example.com'

export const startRelyingParty = async (
  settings: Readonly<Record<string, string>> = {},
  providerOptions: TestProviderOptions = {},
  /** Prepares the provider before Vestibule discovers it. */
  prepare: (provider: TestProvider) => void = () => undefined,
  start: typeof startVestibule = startVestibule,
): Promise<RelyingParty> => {
  const provider = await startTestProvider({ origins: [APP], ...providerOptions })
  prepare(provider)
  const vestibule = await start({
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_ID: provider.clientId,
    OIDC_CLIENT_SECRET: provider.clientSecret,
    ...settings,
  }).catch(async (error: unknown) => {
    await provider.close()
    throw error
  })

  const attempt: RelyingParty['attempt'] = async (sub = 'alice') => {
    const browser = vestibule.visitor()
    const last = await browser.signIn(`${APP}/oauth2/login?rd=/`, sub)
    const answer = browser.trail.find(({ url }) => isCallback(url)) ?? last
    const cookie = browser.cookies.header(new URL(APP))
    const checked = await vestibule.check({}, { Cookie: cookie })
    const isSignedIn = checked.status === 200
    return { browser, answer, isSignedIn, identity: isSignedIn ? checked.headers : undefined }
  }

  const untilCallback: RelyingParty['untilCallback'] = async (sub = 'alice') => {
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
    attempt,
    untilCallback,
    [Symbol.asyncDispose]: async () => {
      await vestibule.stop()
      await provider.close()
    },
  }
}

const isCallback = (url: string): boolean => url.startsWith(`${APP}/oauth2/callback`)
