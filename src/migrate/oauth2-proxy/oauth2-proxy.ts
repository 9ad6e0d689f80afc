import { createDraft, type Draft } from '../draft.ts'
import type { Installation } from '../installation.ts'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'
import { readAddresses } from './addresses.ts'
import { type Alpha, parseAlpha } from './alpha-configuration.ts'
import { headersOfAlpha, optionsOfAlpha, upstreamsOfAlpha } from './alpha-options.ts'
import { readClaims, readEndpoints, readVerification } from './claims.ts'
import { readClient } from './client.ts'
import { readCookies } from './cookies.ts'
import { type GivenOptions, readOptions } from './given-options.ts'
import { readHeaders } from './headers.ts'
import { providerOf, readIssuer } from './issuer.ts'
import { movedToAlpha } from './known-options.ts'
import { readListeners } from './listeners.ts'
import { readPeople } from './people.ts'
import type { Reading } from './reading.ts'
import { readSessionStore } from './redis.ts'
import { tellRemaining } from './remaining.ts'
import { addRules } from './rules.ts'
import { readUpstreams, upstreamsOf } from './upstreams.ts'
import { createValues } from './values.ts'

/** Reads the configuration of oauth2-proxy, whose options may stand in four places. */
export function readOauth2Proxy(old: OldConfiguration): readonly Installation[] {
  const draft = createDraft()
  const { options, unread } = readOptions(old)
  for (const { label, meant } of unread)
    draft.note('dropped', label, `is not read by oauth2-proxy: ${meant}`)
  const alpha = old.alphaFile && readAlpha(old, draft)
  const all = alpha ? withAlpha(options, alpha, draft) : options
  const reading = { values: createValues(all), draft, readFile: old.readFile }
  const upstreams = alpha ? upstreamsOfAlpha(alpha) : upstreamsOf(reading)
  const isProxy = upstreams.some(({ isStatic }) => !isStatic)
  readSignIn(reading, isProxy)
  readHeaders(reading, isProxy, alpha && headersOfAlpha(alpha, isProxy, draft))
  readCookies(reading)
  readSessionStore(reading)
  readAddresses(reading)
  readListeners(reading)
  tellRemaining(reading)
  tellMiddlewares(draft)
  const apps = readUpstreams(reading, upstreams)
  return [{ ...draft.finish(), ...(apps.length > 0 && { apps }) }]
}

function readSignIn(reading: Reading, isProxy: boolean): void {
  const provider = providerOf(reading)
  readIssuer(reading, provider)
  readClient(reading, provider)
  readVerification(reading)
  readEndpoints(reading)
  readClaims(reading, provider)
  addRules(reading, readPeople(reading, provider), isProxy)
}

function readAlpha({ alphaFile, environment }: OldConfiguration, draft: Draft): Alpha | undefined {
  if (!alphaFile) return undefined
  const { alpha, missing } = parseAlpha(alphaFile, environment)
  for (const name of missing)
    draft.note(
      'todo',
      `\${${name}}`,
      'has no value in the file of `--env`: run this command again with it, or write what it stands for',
    )
  return alpha
}

/** Refuses options of the provider, headers and servers beside an alpha configuration, as oauth2-proxy does. */
function withAlpha(options: GivenOptions, alpha: Alpha, draft: Draft): GivenOptions {
  const moved = [...options].filter(([name]) => movedToAlpha(name))
  const refused = moved.filter(([, { label }]) => !label.startsWith('OAUTH2_PROXY_'))
  if (refused.length > 0) {
    throw new MigrationError(
      refused.map(
        ([, { label }]) =>
          `${label} has no place beside an alpha configuration: oauth2-proxy refuses it`,
      ),
    )
  }
  for (const [, { label }] of moved)
    draft.note('dropped', label, 'had no effect beside the alpha configuration')
  const kept = [...options].filter(([name]) => !movedToAlpha(name))
  return new Map([...kept, ...optionsOfAlpha(alpha, draft)])
}

/** Says what stands in the configuration of Traefik and not in that of oauth2-proxy. */
function tellMiddlewares({ note }: Draft): void {
  note(
    'differs',
    '/oauth2/auth?allowed_groups=…',
    'in a middleware of Traefik is `/auth?groups=…`; `allowed_emails` and `allowed_email_domains` are a policy, `/auth?policy=NAME`. Here as there, all of them are needed beside the rules, and one value of each is enough. Matching sub-domains, as `.example.com`, has no counterpart',
  )
  note(
    'differs',
    'errors',
    'the middleware `errors` that leads 401 to `/oauth2/sign_in`, and a `forwardAuth` with `authResponseHeaders` of your own, are replaced by `protected` in `traefik/vestibule.yaml`',
  )
}
