import type { Settings } from './settings/settings.ts'

/** A parameter of every authorization request; a name may occur more than once. */
export type AuthorizationParam = readonly [name: string, value: string]

const SETTING = 'OIDC_AUTHORIZATION_PARAMS'

/** Parameters that Vestibule sets itself or that would break the sign-in, with the remedy for each. */
const RESERVED: Readonly<Record<string, string>> = {
  client_id: 'set OIDC_CLIENT_ID',
  client_secret: 'set OIDC_CLIENT_SECRET; it never goes to a browser',
  scope: 'set OIDC_SCOPES',
  redirect_uri: 'it follows from PUBLIC_URL, PROTECTED_HOSTS and BASE_PATH; remove it',
  response_type: 'it is always code; remove it',
  response_mode: 'it is always query; remove it',
  state: 'it is generated for each sign-in; remove it',
  nonce: 'it is generated for each sign-in; remove it',
  code_challenge: 'it is generated for each sign-in; remove it',
  code_challenge_method: 'it is always S256; remove it',
  code_verifier: 'it never goes to a browser; remove it',
  request: 'request objects are not supported; remove it',
  request_uri: 'request objects are not supported; remove it',
  id_token_hint: 'it would be the same for everybody; remove it',
  dpop_jkt: 'tokens of sign-ins are not bound to keys; remove it',
}

const PROMPTS = ['login', 'consent', 'select_account']

/** Parameters that a request may repeat (RFC 8707, section 2). */
const REPEATABLE = new Set(['resource', 'audience'])

/** Reads `name=value` entries with percent-encoded values. Each entry that cannot be used adds a problem. */
export function readAuthorizationParams(
  { OIDC_AUTHORIZATION_PARAMS: entries }: Settings,
  problems: string[],
): AuthorizationParam[] {
  const names = new Set<string>()
  return entries.flatMap((entry) => {
    const param = parseEntry(entry)
    if (!param) {
      problems.push(
        `${SETTING}: ${entry} is not of the form acr_values=urn%3Amfa; write a comma in a value as %2C and a percent sign as %25`,
      )
      return []
    }
    const fault = faultOf(param, names)
    if (fault !== undefined) problems.push(`${SETTING}: ${fault}`)
    names.add(param[0])
    return [param]
  })
}

function parseEntry(entry: string): AuthorizationParam | undefined {
  const [, name, encoded] = /^([A-Za-z0-9._~-]{1,64})=(.{1,2000})$/s.exec(entry) ?? []
  const value = encoded === undefined ? undefined : decode(encoded)
  if (name === undefined || value === undefined) return undefined
  return /[\x00-\x1f\x7f]/.test(value) ? undefined : [name, value]
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

function faultOf([name, value]: AuthorizationParam, earlier: ReadonlySet<string>) {
  const remedy = RESERVED[name.toLowerCase()]
  if (remedy !== undefined) return `${name} is not for this setting: ${remedy}`
  if (earlier.has(name) && !REPEATABLE.has(name)) return `${name} is set twice: remove one of them`
  switch (name) {
    case 'prompt':
      return faultOfPrompt(value)
    case 'max_age':
      return /^\d{1,9}$/.test(value) ? undefined : 'max_age is not a whole number of seconds'
    case 'resource':
      return isResource(value)
        ? undefined
        : 'resource is not an absolute URI without a fragment, such as https://api.example.com'
    default:
      return undefined
  }
}

function faultOfPrompt(value: string): string | undefined {
  const prompts = value.split(' ')
  if (prompts.includes('none')) {
    return 'prompt=none makes the sign-in fail for everybody who is not yet signed in at the provider: remove it'
  }
  return prompts.every((prompt) => PROMPTS.includes(prompt))
    ? undefined
    : `prompt is none of ${PROMPTS.join(', ')}, or several of them with %20 between them`
}

function isResource(value: string): boolean {
  return URL.canParse(value) && !value.includes('#')
}
