/** Request to a provider or issuer. */
export interface ProviderRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Form, as text or as parameters. */
  readonly body?: string | URLSearchParams
}

/** Parameters of a request that may be repeated in a log line; all others are secrets or tokens. */
const HARMLESS: ReadonlySet<string> = new Set([
  'grant_type',
  'redirect_uri',
  'client_id',
  'client_assertion_type',
  'scope',
  'token_type_hint',
])
/** Shortest secret that is looked for; a shorter one is a word that texts use anyway. */
const MIN_CHARS = 4

/** Returns what must not be logged of a request, in each spelling by which an answer may repeat it (threat A93). */
export function secretsIn({ headers, body = '' }: ProviderRequest): readonly string[] {
  const form = new URLSearchParams(body)
  const inBody = [...form].flatMap(([name, value]) => (HARMLESS.has(name) ? [] : [value]))
  const found = [...inBody, ...credentialsIn(new Headers(headers).get('Authorization') ?? '')]
  return [...new Set(found.flatMap(spellingsOf))]
    .filter(({ length }) => length >= MIN_CHARS)
    .toSorted((one, other) => other.length - one.length)
}

/** Returns a text of the answer without the secrets of its request. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => left.replaceAll(secret, '…'), text)
}

function credentialsIn(authorization: string): readonly string[] {
  const [scheme = '', credentials = ''] = authorization.split(' ')
  if (scheme.toLowerCase() !== 'basic') return [credentials]
  const pair = Buffer.from(credentials, 'base64').toString()
  const secret = new URLSearchParams(`secret=${pair.slice(pair.indexOf(':') + 1)}`).get('secret')
  return [credentials, secret ?? '']
}

function spellingsOf(secret: string): readonly string[] {
  const form = new URLSearchParams([['', secret]]).toString().slice(1)
  return [secret, encodeURIComponent(secret.toWellFormed()), form]
}
