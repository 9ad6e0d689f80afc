import type { RuleSource } from '../../config/rules/rules-file.ts'
import { ALWAYS_GET, readOpenRoutes } from './open-routes.ts'
import type { Entrance } from './people.ts'
import { type Reading, tell } from './reading.ts'

/**
 * Reads what passes without a sign-in, and adds the rules; the last one is for the people. `isProxy`: oauth2-proxy passed
 * requests on itself, and saw their methods, which `forwardAuth` does not show it.
 */
export function addRules(reading: Reading, { name, allow }: Entrance, isProxy: boolean): void {
  const { draft } = reading
  const common = readPreflight(reading, isProxy)
  readTrustedAddresses(reading)
  for (const rule of readOpenRoutes(reading, isProxy)) draft.addRule({ ...rule, ...common })
  draft.addRule({
    name,
    access: 'signed-in',
    allow,
    ...common,
    ...readBearers(reading),
  })
}

function readPreflight(reading: Reading, isProxy: boolean): Pick<RuleSource, 'preflight'> {
  const name = 'skip-auth-preflight'
  if (!reading.values.isOn(name)) {
    tell(reading, name, 'carried', 'is off')
    return {}
  }
  if (!isProxy) {
    tell(
      reading,
      name,
      'dropped',
      `let nothing pass: ${ALWAYS_GET}. If an app needs preflights, add \`preflight: pass\` to its rule`,
    )
    return {}
  }
  tell(
    reading,
    name,
    'stricter',
    'is `preflight: pass` in each rule: OPTIONS passes where it has `Origin` and `Access-Control-Request-Method`, as preflights do',
  )
  return { preflight: 'pass' }
}

function readTrustedAddresses(reading: Reading): void {
  tell(
    reading,
    'trusted-ip',
    'stricter',
    'people from these addresses sign in like others: no address stands in for a sign-in. If they must not, give Traefik a router of a higher priority with `ClientIP(…)` in its rule and without the middleware',
  )
}

/** Reads tokens of other issuers, which pass without a session where one audience is for all of them. */
function readBearers(reading: Reading): Pick<RuleSource, 'bearer'> {
  const { values } = reading
  const isOn = values.isOn('skip-jwt-bearer-tokens')
  tell(
    reading,
    'skip-jwt-bearer-tokens',
    isOn ? 'stricter' : 'carried',
    isOn
      ? 'ID tokens of the client itself no longer pass as bearer tokens, because every app that gets one could use it elsewhere: let programs get access tokens for an audience of their own, and name it in a rule with `bearer`'
      : 'is off',
  )
  tell(
    reading,
    'bearer-token-login-fallback',
    'differs',
    'a bad token is answered with 401, a request without one is sent to the sign-in',
  )
  const name = 'extra-jwt-issuers'
  const pairs = values.list(name).map((pair) => pair.split('='))
  if (!isOn || pairs.length === 0) {
    tell(reading, name, 'carried', 'has no effect without `skip-jwt-bearer-tokens`')
    return {}
  }
  const audiences = [...new Set(pairs.map(([, audience = '']) => audience))]
  const [audience = ''] = audiences
  if (audiences.length > 1 || audience === values.text('client-id') || audience === '') {
    tell(
      reading,
      name,
      'todo',
      'needs a rule with `bearer` for each audience, on the paths of the programs: one rule for all would take the audience of one issuer from another',
    )
    return {}
  }
  tell(
    reading,
    name,
    'carried',
    'is `bearer` of the last rule; its `allow` holds for tokens as well',
  )
  return {
    bearer: {
      issuers: pairs.map(([issuer = '']) => issuer),
      audiences: [audience],
      tokenType: 'jwt',
    },
  }
}
