import type { Draft } from '../../draft.ts'
import { secretHeld } from '../../traefik/kept-elsewhere.ts'
import type { GivenOptions } from './read-options.ts'

/** Sets the provider of an installation. */
export function placeProvider(draft: Draft, given: GivenOptions, provider: string): void {
  if (provider === 'google') return placeGoogle(draft, given)
  if (provider === 'oidc') return placeOidc(draft, given)
  draft.note(
    'todo',
    'default-provider',
    `${provider} is no OpenID Connect, which Vestibule needs: let a service such as Dex or Keycloak stand between, and set OIDC_ISSUER_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET of that service.`,
  )
}

function placeGoogle(draft: Draft, given: GivenOptions): void {
  const read = (name: string, legacy: string) =>
    given.get(legacy)?.at(-1) ?? given.get(`providers.google.${name}`)?.at(-1)
  draft.set('OIDC_ISSUER_URL', 'https://accounts.google.com')
  placeClient(draft, read('client-id', 'client-id'), read('client-secret', 'client-secret'))
  const prompt = read('prompt', 'prompt') ?? 'select_account'
  if (prompt === '') return
  draft.set('OIDC_AUTHORIZATION_PARAMS', [`prompt=${encodeURIComponent(prompt)}`])
  if (!given.has('prompt') && !given.has('providers.google.prompt')) {
    draft.note(
      'carried',
      'providers.google.prompt',
      'Was not set: its default, select_account, is in OIDC_AUTHORIZATION_PARAMS.',
    )
  }
}

function placeOidc(draft: Draft, given: GivenOptions): void {
  const read = (name: string) => given.get(`providers.oidc.${name}`)?.at(-1)
  const issuer = read('issuer-url')
  const resource = read('resource')
  if (issuer !== undefined) draft.set('OIDC_ISSUER_URL', issuer)
  placeClient(draft, read('client-id'), read('client-secret'))
  if (resource !== undefined && resource !== '') {
    draft.set('OIDC_AUTHORIZATION_PARAMS', [`resource=${encodeURIComponent(resource)}`])
  }
}

function placeClient(draft: Draft, id: string | undefined, secret: string | undefined): void {
  if (id !== undefined) draft.set('OIDC_CLIENT_ID', id)
  const held = secretHeld(secret ?? '')
  draft.keepSecret('OIDC_CLIENT_SECRET', held)
  if (held === undefined) {
    draft.note(
      'todo',
      'client-secret',
      'Write the client secret into secrets/oidc-client-secret: it was not given, or is kept elsewhere.',
    )
  }
}
