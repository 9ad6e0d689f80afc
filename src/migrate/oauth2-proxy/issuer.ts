import { code } from '../code-span.ts'
import { MigrationError } from '../old-configuration.ts'
import { type Reading, tell } from './reading.ts'

/** Issuers of providers that have one for everybody. */
const ISSUERS: Readonly<Record<string, string>> = {
  google: 'https://accounts.google.com',
  gitlab: 'https://gitlab.com',
  'login.gov': 'https://secure.login.gov',
}

const OPENID = new Set([
  'adfs',
  'azure',
  'cidaas',
  'entra-id',
  'gitlab',
  'google',
  'keycloak',
  'keycloak-oidc',
  'login.gov',
  'oidc',
])

/** Returns the kind of the provider. Throws `MigrationError` for one that has no OpenID Connect. */
export function providerOf({ values }: Reading): string {
  const provider = values.text('provider') ?? 'google'
  if (OPENID.has(provider)) return provider
  throw new MigrationError([
    `${values.label('provider')} names a provider without OpenID Connect, which Vestibule needs: let Dex (dexidp.io), Keycloak or another provider stand before it, register Vestibule there, and run this command again with --provider=oidc, --oidc-issuer-url, --client-id and --client-secret of that one behind the --`,
  ])
}

/** Reads the provider and its issuer. */
export function readIssuer(reading: Reading, provider: string): void {
  const { values, draft } = reading
  const issuer =
    tenantIssuer(reading, provider) ?? values.text('oidc-issuer-url') ?? ISSUERS[provider]
  tell(reading, 'provider', 'carried', 'is spoken to as an OpenID provider, by its issuer')
  tell(reading, 'oidc-issuer-url', 'carried', 'is `OIDC_ISSUER_URL`')
  const found = issuer ?? issuerOfKeycloak(values.text('login-url'))
  if (found !== undefined) draft.set('OIDC_ISSUER_URL', found)
  if (!values.has('provider'))
    draft.note('carried', '--provider', 'was `google` because nothing else was given')
  if (issuer === undefined) tellMissing(reading, found)
  if (provider === 'google' && found !== undefined && found === ISSUERS['google'])
    draft.note('carried', values.label('provider'), `has the issuer ${code(found)}`)
}

function tellMissing({ draft, values }: Reading, found: string | undefined): void {
  draft.note(
    found === undefined ? 'todo' : 'carried',
    values.label('oidc-issuer-url'),
    found === undefined
      ? 'was not given, and Vestibule finds the provider by it: set `oidc.issuerUrl`, as the provider writes it'
      : 'was not given and follows from the address of the sign-in at Keycloak; compare it with `issuer` in `/.well-known/openid-configuration` below it',
  )
}

/** Returns the issuer of a realm whose sign-in page is known. */
function issuerOfKeycloak(loginUrl: string | undefined): string | undefined {
  return /^(https?:\/\/.+\/realms\/[^/]+)\/protocol\/openid-connect\/auth$/.exec(
    loginUrl ?? '',
  )?.[1]
}

const MICROSOFT = 'https://login.microsoftonline.com'
const ANY_TENANT = /^https:\/\/login\.microsoftonline\.com\/(?:common|organizations|consumers)\//

const NO_TENANT: ReadonlySet<string | undefined> = new Set([
  'common',
  'organizations',
  'consumers',
  undefined,
])

/** Returns the issuer of the only tenant that may sign in; `undefined` where the option for the issuer stands. */
function tenantIssuer(reading: Reading, provider: string): string | undefined {
  const { values } = reading
  const counting = TENANT_OPTIONS[provider]
  for (const name of Object.values(TENANT_OPTIONS))
    if (name !== counting) tell(reading, name, 'dropped', 'had no effect with this provider')
  if (counting === undefined) return undefined
  const given = values.text('oidc-issuer-url')
  const tenants = values.list(counting)
  if (given === undefined || ANY_TENANT.test(given))
    return onlyTenant(reading, counting, tenants) ?? given
  if (isElsewhere(given, tenants)) {
    throw new MigrationError([
      `${values.label(counting)} does not have the tenant of ${values.label('oidc-issuer-url')}, so that nobody gets in: correct one of them`,
    ])
  }
  tell(reading, counting, 'carried', 'follows from the issuer, which is one tenant')
  return undefined
}

/** Options that name the tenants, by the providers for which they count. */
const TENANT_OPTIONS: Readonly<Record<string, string>> = {
  azure: 'azure-tenant',
  'entra-id': 'entra-id-allowed-tenant',
}

const ID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/
const TENANT = /\/([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\//

/** Returns whether the tenant of an issuer is none of those that may sign in, as far as all are named by their ids. */
function isElsewhere(issuer: string, tenants: readonly string[]): boolean {
  const [, own] = TENANT.exec(issuer) ?? []
  return (
    own !== undefined &&
    tenants.length > 0 &&
    tenants.every((each) => ID.test(each) && each !== own)
  )
}

function onlyTenant(
  { values, draft }: Reading,
  name: string,
  tenants: readonly string[],
): string | undefined {
  const [only, ...others] = tenants
  if (others.length === 0 && !NO_TENANT.has(only)) {
    draft.note('carried', values.label(name), 'is the tenant in `OIDC_ISSUER_URL`')
    return `${MICROSOFT}/${only}/v2.0`
  }
  draft.note(
    'todo',
    values.label(others.length > 0 ? name : 'oidc-issuer-url'),
    'lets several tenants sign in, and each tenant has an issuer of its own: name one in `oidc.issuerUrl`, and make an installation for each further one',
  )
  return undefined
}
