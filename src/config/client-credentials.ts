import type { ClientCredentials } from '../core/client-credentials.ts'
import { attempt } from './attempt.ts'
import { parseClientKey } from './client-key.ts'
import { ValueError } from './config-error.ts'
import type { Settings } from './settings/settings.ts'

const KEY_REMEDY =
  'make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out client-key.pem'

/**
 * Chooses the client authentication: the method that is set, or else one that fits the given secret or key. How a secret
 * is sent then follows from the provider's metadata (finding C28).
 */
export function readClientCredentials(settings: Settings, problems: string[]): ClientCredentials {
  const { OIDC_CLIENT_SECRET: secret, OIDC_CLIENT_PRIVATE_KEY: key } = settings
  const usual = key ? 'private_key_jwt' : secret ? 'client_secret' : 'none'
  const method = settings.OIDC_TOKEN_ENDPOINT_AUTH_METHOD ?? usual
  if (key) checkUse(method, secret, problems)
  switch (method) {
    case 'none':
      return { method }
    case 'private_key_jwt':
      return readPrivateKey(key, problems)
    case 'client_secret':
    case 'client_secret_basic':
    case 'client_secret_post':
      if (secret) return { method, secret }
      problems.push(
        `OIDC_CLIENT_SECRET: is missing, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD is ${method}`,
      )
      return { method: 'none' }
  }
}

/** Refuses a private key beside a client secret or beside another method. */
function checkUse(method: string, secret: string | undefined, problems: string[]): void {
  if (secret) {
    problems.push(
      'OIDC_CLIENT_SECRET and OIDC_CLIENT_PRIVATE_KEY are both set: keep the one by which the provider knows this client',
    )
  } else if (method !== 'private_key_jwt') {
    problems.push(
      `OIDC_CLIENT_PRIVATE_KEY: is not used because OIDC_TOKEN_ENDPOINT_AUTH_METHOD is ${method}: remove one of them`,
    )
  }
}

function readPrivateKey(text: string | undefined, problems: string[]): ClientCredentials {
  const key = attempt('OIDC_CLIENT_PRIVATE_KEY', KEY_REMEDY, problems, () => {
    if (!text) throw new ValueError('is missing, and the client authenticates by private_key_jwt')
    return parseClientKey(text)
  })
  return key ? { method: 'private_key_jwt', key } : { method: 'none' }
}
