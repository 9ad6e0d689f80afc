import { become, carry, type Reading, readNamed, tell } from './reading.ts'

/** Reads the client: its id, its secret or key, and what it asks for. */
export function readClient(reading: Reading, provider: string): void {
  readCredentials(reading)
  readScopes(reading, provider)
  readParameters(reading)
  readPkce(reading)
}

function readCredentials(reading: Reading): void {
  const { values, draft } = reading
  if (!values.has('client-id'))
    draft.note('todo', '--client-id', 'was not given: set `oidc.clientId`')
  carry(reading, 'client-id', 'OIDC_CLIENT_ID')
  const key = values.text('jwt-key') ?? readNamed(reading, 'jwt-key-file', KEY_REMEDY)
  if (key !== undefined) draft.keepSecret('OIDC_CLIENT_PRIVATE_KEY', key)
  for (const name of ['jwt-key', 'jwt-key-file'])
    if (key !== undefined)
      tell(reading, name, 'carried', 'is `OIDC_CLIENT_PRIVATE_KEY`, in a file of its own')
  tell(
    reading,
    'pubjwk-url',
    'dropped',
    'is not needed: the keys of the provider are in its metadata',
  )
  if (key === undefined) readSecret(reading)
  else for (const name of SECRETS) tell(reading, name, 'dropped', 'has no use beside a private key')
}

const SECRETS = ['client-secret', 'client-secret-file', 'entra-id-federated-token-auth']
const KEY_REMEDY = 'copy the key, and name it as `oidc.clientPrivateKeyFile`'
const FILE = 'write it into `secrets/oidc-client-secret`'

function readSecret(reading: Reading): void {
  const { values, draft } = reading
  const federated = 'entra-id-federated-token-auth'
  if (values.isOn(federated)) {
    tell(reading, federated, 'todo', `has no counterpart: make a client secret, and ${FILE}`)
    draft.keepSecret('OIDC_CLIENT_SECRET', undefined)
    return
  }
  tell(reading, federated, 'carried', 'is off')
  const isGiven = ['client-secret', 'client-secret-file'].some((name) => values.has(name))
  if (!isGiven && values.has('code-challenge-method'))
    draft.note('carried', '--client-secret', 'was not given: the client stays a public one')
  else keepSecret(reading)
}

function keepSecret(reading: Reading): void {
  const { values, draft } = reading
  const given = values.text('client-secret')
  const secret = given ?? readNamed(reading, 'client-secret-file', FILE)?.trim()
  draft.keepSecret('OIDC_CLIENT_SECRET', secret || undefined)
  if (!secret && !values.has('client-secret-file'))
    draft.note('todo', values.label('client-secret'), `has no value here: ${FILE}`)
  if (!secret) return
  const kept = 'is `OIDC_CLIENT_SECRET`, in a file of its own'
  tell(reading, 'client-secret', 'carried', kept)
  const ofFile = given === undefined ? kept : 'did not count beside the secret itself'
  tell(reading, 'client-secret-file', 'carried', ofFile)
}

/** Scopes that Vestibule asks for unless told otherwise. */
const DEFAULT_SCOPES = 'openid profile email'

function readScopes(reading: Reading, provider: string): void {
  const { values, draft } = reading
  const scope = values.text('scope')
  if (scope !== undefined) {
    const isOpenid = scope.split(/\s+/).includes('openid')
    become(reading, 'scope', 'OIDC_SCOPES', isOpenid ? scope : `openid ${scope}`)
    if (!isOpenid)
      tell(reading, 'scope', 'differs', '`openid` is added, without which there is no ID token')
    return
  }
  if (!['oidc', 'keycloak-oidc'].includes(provider) || values.list('allowed-group').length === 0)
    return
  draft.set('OIDC_SCOPES', `${DEFAULT_SCOPES} groups`)
  draft.note(
    'carried',
    '--scope',
    'was not given; `groups` is asked for, as before where groups are allowed',
  )
}

/** Options that are parameters of the authorization request. */
const PARAMETERS: Readonly<Record<string, string>> = {
  'acr-values': 'acr_values',
  prompt: 'prompt',
  resource: 'resource',
}

function readParameters(reading: Reading): void {
  const { values, draft } = reading
  const params = Object.entries(PARAMETERS).flatMap(([name, parameter]) => {
    const value = values.text(name)
    if (value === undefined) {
      tell(reading, name, 'carried', 'is empty')
      return []
    }
    const isSilent = parameter === 'prompt' && value.split(' ').includes('none')
    tell(
      reading,
      name,
      isSilent ? 'dropped' : 'carried',
      isSilent
        ? '`none` would keep everybody out who is not yet signed in at the provider'
        : 'is in `OIDC_AUTHORIZATION_PARAMS`',
    )
    return isSilent ? [] : [`${parameter}=${encodeURIComponent(value)}`]
  })
  if (params.length > 0) draft.set('OIDC_AUTHORIZATION_PARAMS', params)
  tell(
    reading,
    'approval-prompt',
    'dropped',
    'is older than OpenID Connect: `prompt` in `OIDC_AUTHORIZATION_PARAMS` is what providers read',
  )
  tell(
    reading,
    'auth-request-response-mode',
    'dropped',
    'the answer of the provider comes in the query, always',
  )
}

function readPkce(reading: Reading): void {
  const { values, draft } = reading
  const text = 'PKCE with `S256` is part of every sign-in'
  for (const name of ['code-challenge-method', 'force-code-challenge-method']) {
    const kind = values.text(name) === 'S256' ? 'carried' : 'stricter'
    tell(reading, name, kind, text)
  }
  if (!values.has('code-challenge-method') && !values.has('force-code-challenge-method'))
    draft.note('stricter', '--code-challenge-method', `was not given; here ${text}`)
}
