import fc from 'fast-check'
import { stringify } from 'yaml'
import { startTestProvider, type TestProvider } from '../provider.ts'
import { writeRules } from '../rules-file.ts'
import { type RunningVestibule, startVestibule } from '../vestibule.ts'
import { createVisitor } from '../visitor.ts'
import { describeAnswer } from './expect-same-answers.ts'
import { expectedAnswer, PROTECTED_HOSTS } from './expected-answer.ts'
import { headersOf } from './product-answer.ts'
import { sentChecks } from './sent-checks.ts'
import { sentPeople } from './sent-people.ts'
import type { PolicyAnswer, SentCheck, SentClaims } from './written.ts'
import { USERS } from './written-conditions.ts'
import { writtenFiles } from './written-files.ts'

const APP = 'https://app.example.com'

export interface HttpSample {
  readonly files: number
  /** People who sign in at each of them, and requests of each and of a stranger. */
  readonly people: number
  readonly requests: number
  readonly seed: number
}

/**
 * Starts the service with generated files, signs generated people in at a provider that says their claims, and compares the
 * statuses and identities of their checks with the model's. Returns how often each answer was given, and throws with the
 * first case that differs.
 */
export async function expectSameAnswersOverHttp({ files, people, requests, seed }: HttpSample) {
  const lists = (minLength: number) => ({ minLength, maxLength: minLength })
  const persons = sentPeople.filter(({ sub }) => USERS.includes(String(sub)))
  const asked = fc.array(sentChecks, lists(requests * (people + 1)))
  const worlds = fc.tuple(writtenFiles, fc.array(persons, lists(people)), asked)
  const given: Record<string, number> = {}
  await using provider = await startTestProvider({ origins: [APP], users: [{ sub: 'bare' }] })
  for (const [file, signedIn, sent] of fc.sample(worlds, { numRuns: files, seed })) {
    const { rules, ...settings } = file
    await using written = await writeRules(rules as Parameters<typeof writeRules>[0], settings)
    await using vestibule = await startVestibule({
      PROTECTED_HOSTS: PROTECTED_HOSTS.join(),
      PUBLIC_URL: APP,
      COOKIE_DOMAIN: 'example.com',
      ALLOW_ANY_USER: '',
      VESTIBULE_CONFIG: written.path,
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
      OIDC_USERINFO: 'never',
    })
    for (const [at, claims] of [undefined, ...signedIn].entries()) {
      const cookie = claims && (await signIn(vestibule, provider, claims))
      for (const each of sent.slice(at * requests, (at + 1) * requests)) {
        const expected = describeAnswer(expectedAnswer(file, each, claims))
        const received = describeAnswer(await ask(vestibule, each, cookie))
        given[expected] = (given[expected] ?? 0) + 1
        if (received === expected) continue
        const facts = { seed, sent: each, claims, expected, received }
        throw new Error(`${stringify(file)}\n${JSON.stringify(facts, undefined, 1)}`)
      }
    }
  }
  return given
}

/** Signs a person in, of whom the ID token says these claims, and returns the cookie of the session. */
async function signIn(vestibule: RunningVestibule, provider: TestProvider, claims: SentClaims) {
  const { iss: _, ...changes } = claims
  provider.tamperIdToken(changes)
  return vestibule.signIn('bare')
}

/** Headers of a browser that only those requests have that ask for them. */
const PLAIN = Object.fromEntries(
  ['Accept', 'Site', 'Mode', 'User', 'Dest'].map((name) => [
    name === 'Accept' ? name : `Sec-Fetch-${name}`,
    undefined,
  ]),
)

async function ask(
  { internalPort }: RunningVestibule,
  sent: SentCheck,
  cookie: string | undefined,
): Promise<PolicyAnswer> {
  const query = sent.query === '' ? '' : `?${sent.query}`
  const { status, headers } = await createVisitor().get(
    `http://127.0.0.1:${internalPort}/auth${query}`,
    { headers: { ...PLAIN, ...headersOf(sent), Cookie: cookie } },
  )
  const isNamed = status === 200 && headers['x-auth-request-user'] !== ''
  return { status: status as PolicyAnswer['status'], isNamed }
}
