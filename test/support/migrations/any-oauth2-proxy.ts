import fc from 'fast-check'
import { stringify } from 'yaml'
import { fileKeyOf } from '../../../src/migrate/oauth2-proxy/known-options.ts'
import type { MigrationInput } from '../migration.ts'
import { words } from '../words.ts'

/** Addresses of the test, which take the operator's place. */
export interface AnyPlaces {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly appUrl: string
  /** Files with addresses. */
  readonly emailFiles: readonly string[]
}

const DOMAINS = [
  ...words`example.com Example.ORG .example.com *.example.org * @example.com ann@example.com *example.com com`,
  ' *',
  ' example.net',
]
const GROUPS = [...words`staff Staff /ops guests ops a`, ' staff', 'a,b']
const ROUTES = [
  ...words`^/public/ ^/health$ GET=^/health$ POST=^/hook$ post=^/x /a ^/(a|b)$ ^/a.c$ ^/v\\d+ !=^/ PUT!=^/x ^/$ ^/A$`,
  ...words`^/p%20q (?i)^/a ^/x=y ^/api(/.*)?$ ^ .* ^/a/?$ ^//b ^/oauth2/auth ^/b{1}$ ^/x\\.png$ ^\\/health ^/[a]$ ^/a|/b$`,
  ' ^/a$',
]

const several = (values: readonly string[], minLength = 0) =>
  fc.subarray([...values], { minLength, maxLength: 3 })
const sometimes = <Value>(value: fc.Arbitrary<Value>) =>
  fc.option(value, { nil: undefined, freq: 2 })
const oneOf = (...values: string[]) => sometimes(fc.constantFrom(...values))
const isOn = sometimes(fc.constant('true'))

/** Configurations of oauth2-proxy, with each option in one of its places. */
export const anyOauth2Proxy = (places: AnyPlaces): fc.Arbitrary<MigrationInput> =>
  fc
    .record({
      options: fc.record({
        'email-domain': several(DOMAINS, 1),
        'allowed-group': several(GROUPS),
        'skip-auth-route': several(ROUTES),
        'skip-auth-regex': several(ROUTES),
        'authenticated-emails-file': oneOf(...places.emailFiles),
        'insecure-oidc-allow-unverified-email': oneOf('true', 'false', '1', 'T'),
        'oidc-email-claim': oneOf('email', 'email', 'email', 'preferred_username', 'sub'),
        'oidc-groups-claim': oneOf('groups', 'groups', 'groups', 'roles', 'a.b'),
        'user-id-claim': oneOf('email', 'email', 'sub', 'preferred_username'),
        'reverse-proxy': fc.constantFrom('true', 'true', 'false'),
        'skip-auth-preflight': isOn,
        'skip-jwt-bearer-tokens': isOn,
        upstream: fc.constantFrom(['static://202'], [`${places.appUrl}/`]),
      }),
      spread: fc.array(fc.constantFrom('flags', 'env', 'file'), { minLength: 9, maxLength: 9 }),
      isAlpha: fc.boolean(),
    })
    .map(({ options, spread, isAlpha }) => place({ ...options, ...fixed(places) }, spread, isAlpha))

function fixed({ issuer, clientId, clientSecret }: AnyPlaces) {
  return {
    provider: 'oidc',
    'oidc-issuer-url': issuer,
    'client-id': clientId,
    'client-secret': clientSecret,
    'cookie-secret': 'c00kie-Secret-of-32-characters-x',
    'redirect-url': 'https://app.example.com/oauth2/callback',
    scope: 'openid profile email groups',
    'code-challenge-method': 'S256',
    'http-address': '127.0.0.1:4180',
  }
}

type Value = string | readonly string[]

function place(
  options: Readonly<Record<string, Value | undefined>>,
  spread: readonly string[],
  isAlpha: boolean,
): MigrationInput {
  const given = Object.entries(options).filter(
    (option): option is [string, Value] => option[1] !== undefined && option[1].length > 0,
  )
  const ofAlpha = new Set(isAlpha ? Object.keys(ALPHA) : [])
  const flags: string[] = []
  const env: string[] = []
  const file: string[] = []
  for (const [at, [name, value]] of given.filter(([key]) => !ofAlpha.has(key)).entries()) {
    const values = [value].flat()
    const where = spread[at % spread.length]
    if (where === 'flags')
      flags.push(...values.map((each) => `--${name}=${each.replace(/^.*,.*$/, '"$&"')}`))
    else if (where === 'env' && values.every((each) => !each.includes(',')))
      env.push(`OAUTH2_PROXY_${fileKeyOf(name).toUpperCase()}='${values.join(',')}'`)
    else file.push(`${fileKeyOf(name)} = ${JSON.stringify(value)}`)
  }
  const alpha = isAlpha && { alpha: alphaOf(Object.fromEntries(given)) }
  return { flags, env: env.join('\n'), config: file.join('\n'), ...alpha }
}

/** Places of options in the alpha configuration. */
const ALPHA: Readonly<Record<string, string>> = {
  provider: 'provider',
  'client-id': 'clientID',
  'client-secret': 'clientSecret',
  scope: 'scope',
  'code-challenge-method': 'code_challenge_method',
  'allowed-group': 'allowedGroups',
  'oidc-issuer-url': 'oidcConfig.issuerURL',
  'oidc-email-claim': 'oidcConfig.emailClaim',
  'oidc-groups-claim': 'oidcConfig.groupsClaim',
  'user-id-claim': 'oidcConfig.userIDClaim',
  'insecure-oidc-allow-unverified-email': 'oidcConfig.insecureAllowUnverifiedEmail',
  'http-address': '',
  upstream: '',
}

function alphaOf(options: Readonly<Record<string, Value>>): string {
  const members = Object.entries(options).flatMap(([name, value]) => {
    const key = ALPHA[name]
    return key ? [[key, key.endsWith('Email') ? /^[1Tt]/.test(String(value)) : value] as const] : []
  })
  const isInner = ([key]: readonly [string, unknown]) => key.startsWith('oidcConfig.')
  const inner = members.filter(isInner).map(([key, value]) => [key.slice(11), value] as const)
  const [uri = ''] = [options['upstream']].flat()
  const target = uri.startsWith('static') ? { static: true, staticCode: 202 } : { uri }
  return stringify({
    server: { bindAddress: options['http-address'] },
    upstreamConfig: { upstreams: [{ id: 'a', path: '/', ...target }] },
    providers: [
      {
        id: 'p',
        ...Object.fromEntries(members.filter((each) => !isInner(each))),
        oidcConfig: Object.fromEntries(inner),
      },
    ],
  })
}
