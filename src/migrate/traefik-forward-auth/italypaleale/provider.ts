import type { Draft } from '../../draft.ts'
import type { OldConfiguration } from '../../old-configuration.ts'
import { flagOf, listOf, textOf } from '../../traefik/given-values.ts'
import { secretHeld } from '../../traefik/kept-elsewhere.ts'
import { memberOf } from '../../traefik/parse-documents.ts'

/** Provider of a portal: its type in lower case, and its options by the names of version 4. */
export interface OldProvider {
  readonly type: string
  readonly options: unknown
}

/** Types that are OpenID Connect, with the claim that the old service calls the user's id. */
const ID_CLAIMS: Readonly<Record<string, string>> = {
  google: 'sub',
  openidconnect: 'sub',
  pocketid: 'sub',
  microsoftentraid: 'oid',
}

/** Returns the claim that the old service calls the id of a user. */
export function idClaimOf({ type }: OldProvider): string {
  return ID_CLAIMS[type] ?? 'sub'
}

/** Claims whose values the old service keeps, and compares in conditions. */
const KEPT =
  'id sub name given_name middle_name family_name nickname preferred_username email email_verified picture locale zoneinfo groups roles'.split(
    ' ',
  )
const KEPT_BESIDES: Readonly<Record<string, readonly string[]>> = {
  google: ['hd'],
  microsoftentraid: ['tid', 'wids'],
}

export function keptClaimsOf({ type }: OldProvider): readonly string[] {
  return [...KEPT, ...(KEPT_BESIDES[type] ?? [])]
}

export function isOpenId({ type }: OldProvider): boolean {
  return Object.hasOwn(ID_CLAIMS, type)
}

/** Sets the provider of an installation. */
export function placeProvider(draft: Draft, old: OldConfiguration, provider: OldProvider): void {
  const read = (name: string) => textOf(memberOf(provider.options, name))
  if (!isOpenId(provider)) {
    draft.note(
      'todo',
      provider.type,
      'Is no OpenID Connect, which Vestibule needs: let a service such as Dex or Keycloak stand between, and set OIDC_ISSUER_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET of that service.',
    )
    return
  }
  const issuer = issuerOf(provider, read)
  if (issuer !== undefined) draft.set('OIDC_ISSUER_URL', issuer)
  const id = read('clientID')
  if (id !== undefined) draft.set('OIDC_CLIENT_ID', id)
  placeSecret(draft, old, read)
  placeScopes(draft, provider, read)
  const caFile = read('tlsCACertificatePath')
  if (caFile !== undefined) draft.set('OIDC_CA_FILE', caFile)
  if (flagOf(read('enablePKCE') ?? '') !== true) {
    draft.note('stricter', 'enablePKCE', 'PKCE is always used; the provider has to permit it.')
  }
  if (provider.type === 'microsoftentraid') noteEntra(draft, read('tenantID') ?? '')
}

function issuerOf({ type }: OldProvider, read: (name: string) => string | undefined) {
  if (type === 'google') return 'https://accounts.google.com'
  if (type === 'microsoftentraid')
    return `https://login.microsoftonline.com/${read('tenantID') ?? ''}/v2.0`
  return read(type === 'pocketid' ? 'endpoint' : 'tokenIssuer')
}

function placeSecret(
  draft: Draft,
  old: OldConfiguration,
  read: (name: string) => string | undefined,
): void {
  const held = secretHeld(read('clientSecret') ?? fileText(old, read('clientSecretFile')) ?? '')
  draft.keepSecret('OIDC_CLIENT_SECRET', held)
  if (held === undefined) {
    draft.note(
      'todo',
      'clientSecret',
      'Write the client secret into secrets/oidc-client-secret: it was not given, or is kept elsewhere.',
    )
  }
}

/** The file may be that of a container, which is not here. */
function fileText({ readFile }: OldConfiguration, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFile(path).trim()
  } catch {
    return undefined
  }
}

function placeScopes(
  draft: Draft,
  { type }: OldProvider,
  read: (name: string) => string | undefined,
): void {
  const own = type === 'pocketid' ? 'openid profile email groups' : undefined
  const scopes = read('scopes') ?? own
  if (scopes !== undefined) draft.set('OIDC_SCOPES', listOf(scopes.replaceAll(' ', ',')).join(' '))
}

function noteEntra(draft: Draft, tenant: string): void {
  if (/^(?:common|organizations|consumers)$/i.test(tenant)) {
    draft.note(
      'todo',
      'tenantID',
      `${tenant} stands for many tenants, and one installation trusts one issuer: write the id of your tenant.`,
    )
  }
  draft.note(
    'stricter',
    'e-mail',
    'Entra sends no email_verified, without which an address counts for nothing here: see Entra ID in docs/provider.md.',
  )
}
