import { type Reading, tell } from './reading.ts'

/** Header that oauth2-proxy gave apps, from a claim of its session. */
export interface InjectedHeader {
  readonly label: string
  readonly name: string
  readonly claim: string
  readonly prefix: string
}

/** Reads the options that gave apps headers. `isProxy`: oauth2-proxy stood before the apps itself, and added them to requests. */
export function readHeaderOptions(reading: Reading, isProxy: boolean): readonly InjectedHeader[] {
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
