import { FORWARDED_IDENTITY_HEADERS } from '../../core/identity-headers.ts'
import { code } from '../code-span.ts'
import { providerOf } from './issuer.ts'
import { type Reading, tell } from './reading.ts'

/** Header that oauth2-proxy gave apps, from a claim of its session. */
export interface InjectedHeader {
  readonly label: string
  readonly name: string
  readonly claim: string
  readonly prefix: string
}

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
  const headers = injected ?? fromOptions(reading, isProxy)
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

function fromOptions(reading: Reading, isProxy: boolean): readonly InjectedHeader[] {
  const { values } = reading
  tell(reading, 'set-xauthrequest', 'carried', 'apps get these headers always')
  tellBasic(reading)
  if (!isProxy) tellWithoutEffect(reading)
  const passesToken = values.isOn('pass-access-token')
  const given: readonly (readonly [isOn: boolean, option: string, name: string, claim: string])[] =
    [
      ...forwardedHeaders(reading).map(
        ([name, claim]) => [isProxy, 'pass-user-headers', name, claim] as const,
      ),
      [isProxy && passesToken, 'pass-access-token', 'X-Forwarded-Access-Token', 'access_token'],
      [
        passesToken && values.isOn('set-xauthrequest'),
        'pass-access-token',
        'X-Auth-Request-Access-Token',
        'access_token',
      ],
      [
        isProxy && values.isOn('pass-authorization-header'),
        'pass-authorization-header',
        'Authorization',
        'id_token',
      ],
      [
        values.isOn('set-authorization-header'),
        'set-authorization-header',
        'Authorization',
        'id_token',
      ],
    ]
  return given.flatMap(([isOn, option, name, claim]) =>
    isOn ? [{ label: values.label(option), name, claim, prefix: '' }] : [],
  )
}

function forwardedHeaders({
  values,
}: Reading): readonly (readonly [name: string, claim: string])[] {
  if (!values.isOn('pass-basic-auth', true) && !values.isOn('pass-user-headers', true)) return []
  const users = values.isOn('prefer-email-to-user')
    ? ([['X-Forwarded-User', 'email']] as const)
    : ([
        ['X-Forwarded-User', 'user'],
        ['X-Forwarded-Email', 'email'],
      ] as const)
  return [
    ['X-Forwarded-Groups', 'groups'],
    ...users,
    ['X-Forwarded-Preferred-Username', 'preferred_username'],
  ]
}

function tellBasic(reading: Reading): void {
  const { values } = reading
  const text =
    'Basic credentials with the name of the user are not offered, because an app takes them from everybody who knows the one password'
  const isUsed = values.text('basic-auth-password') !== undefined
  tell(
    reading,
    'pass-basic-auth',
    isUsed && values.isOn('pass-basic-auth', true) ? 'dropped' : 'carried',
    isUsed ? text : 'sends no credentials without `basic-auth-password`',
  )
  tell(
    reading,
    'set-basic-auth',
    values.isOn('set-basic-auth') ? 'dropped' : 'carried',
    values.isOn('set-basic-auth') ? text : 'is off',
  )
  tell(reading, 'basic-auth-password', 'dropped', text)
  tell(
    reading,
    'prefer-email-to-user',
    'carried',
    'decides what `X-Forwarded-User` is, where it is given',
  )
  tell(
    reading,
    'skip-auth-strip-headers',
    'stricter',
    'identity headers of clients are always deleted, by `vestibule-strip`',
  )
  for (const name of [
    'pass-user-headers',
    'pass-access-token',
    'pass-authorization-header',
    'set-authorization-header',
  ])
    if (!values.isOn(name)) tell(reading, name, 'carried', 'is off')
}

function tellWithoutEffect(reading: Reading): void {
  const { values } = reading
  const text =
    'had no effect behind `forwardAuth`, where no request passes oauth2-proxy itself; if an app needs the header, add it to `identityHeaders`'
  if (values.isOn('pass-user-headers')) tell(reading, 'pass-user-headers', 'dropped', text)
  if (values.isOn('pass-authorization-header'))
    tell(reading, 'pass-authorization-header', 'dropped', text)
  if (values.isOn('pass-access-token') && !values.isOn('set-xauthrequest'))
    tell(reading, 'pass-access-token', 'dropped', text)
}
