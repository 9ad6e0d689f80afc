import { FORWARDED_IDENTITY_HEADERS } from '../../core/identity-headers.ts'
import { code } from '../code-span.ts'
import { type InjectedHeader, readHeaderOptions } from './header-options.ts'
import { providerOf } from './issuer.ts'
import { type Reading, tell } from './reading.ts'

/** Claims that some providers have as the user. */
const USERS: Readonly<Record<string, string>> = {
  gitlab: 'nickname',
  keycloak: 'preferred_username',
}

/** Headers that Vestibule gives in every answer, by the claims of the session of oauth2-proxy. */
const ALWAYS: Readonly<Record<string, string>> = {
  'x-auth-request-user': 'user',
  'x-auth-request-email': 'email',
  'x-auth-request-groups': 'groups',
  'x-auth-request-preferred-username': 'preferred_username',
}

/** Reads the headers that apps get. `isProxy`: oauth2-proxy stood before the apps itself, and added headers to requests. */
export function readHeaders(
  reading: Reading,
  isProxy: boolean,
  injected: readonly InjectedHeader[] | undefined,
): void {
  const headers = injected ?? readHeaderOptions(reading, isProxy)
  const { draft } = reading
  const user = USERS[providerOf(reading)] ?? 'sub'
  if (user !== 'sub')
    tell(
      reading,
      'provider',
      'differs',
      `the user was \`${user}\`, as in \`X-Forwarded-User\`, and \`X-Auth-Request-User\` is \`sub\` here: an app that knows people by it needs another name in \`identityHeaders\`, as \`Remote-User=${user}\``,
    )
  const entries = new Map<string, string>()
  for (const header of headers) {
    const source = carryHeader(reading, header, user)
    if (source !== undefined) entries.set(header.name.toLowerCase(), `${header.name}=${source}`)
  }
  if (entries.size > 0) draft.set('IDENTITY_HEADERS', [...entries.values()])
  draft.note(
    'differs',
    '--set-xauthrequest',
    'apps get the `X-Auth-Request-…` headers always, and `X-Auth-Request-Name`; a group with a comma is written with `%2C`',
  )
}

/** Carries one header. Returns its source for `IDENTITY_HEADERS`, or `undefined` where it needs none. */
function carryHeader(reading: Reading, header: InjectedHeader, user: string): string | undefined {
  const { draft } = reading
  const { label, name, claim, prefix } = header
  const lower = name.toLowerCase()
  if (lower === 'authorization') return carryAuthorization(reading, label, claim)
  if (claim === 'access_token') draft.set('PASS_ACCESS_TOKEN', true)
  if (ALWAYS[lower] === claim || lower === 'x-auth-request-access-token') {
    draft.note('carried', label, `apps get ${code(name)}`)
    return undefined
  }
  if (!isFree(name) || NO_CLAIM.test(claim)) {
    draft.note(
      'todo',
      label,
      `${code(name)} cannot be given to apps from ${code(claim)}: give the app another name in \`identityHeaders\``,
    )
    return undefined
  }
  draft.note('carried', label, `${code(name)} is in \`IDENTITY_HEADERS\``)
  const source = claim === 'user' ? user : claim
  return prefix === '' || claim === 'access_token' ? source : `"${escaped(prefix)}{${source}}"`
}

/** Values of its session that are no claims here. */
const NO_CLAIM = /^(?:id_token|refresh_token|created_at|expires_on)$/

/** Returns whether a header may be given to apps under this name. */
function isFree(name: string): boolean {
  if (FORWARDED_IDENTITY_HEADERS.some((each) => each.toLowerCase() === name.toLowerCase()))
    return true
  return /^(?!x-auth-request-|x-forwarded-|cookie$|x-real-ip$|host$)[a-z0-9-]{1,64}$/i.test(name)
}

/** Writes text so that a template sends it as it stands. */
function escaped(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&').replaceAll('"', '""')
}

function carryAuthorization({ draft }: Reading, label: string, claim: string): undefined {
  const kinds: Readonly<Record<string, string>> = {
    id_token: 'id-token',
    access_token: 'access-token',
  }
  const kind = kinds[claim]
  if (kind !== undefined) draft.set('PASS_AUTHORIZATION', kind)
  draft.note(
    kind === undefined ? 'dropped' : 'carried',
    label,
    kind === undefined
      ? 'Basic credentials with the name of the user are not offered: let the app read `X-Auth-Request-User`'
      : `apps get \`Authorization: Bearer\` by \`PASS_AUTHORIZATION=${kind}\``,
  )
}
