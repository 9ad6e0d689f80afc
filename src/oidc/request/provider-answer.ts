import { decodeJwt } from 'jose'
import { withoutEmptyMembers } from '../../core/claims.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import { type ProviderRequest, secretsIn, withoutSecrets } from './sent-secrets.ts'

/** Member of a token answer that keeps the ID token as received where openid-client reads a changed one. */
const RECEIVED = 'vestibule_received_id_token'

/** Body of an answer to read from, and its members where it is a JSON object. */
export interface ReadableBody {
  readonly body: Uint8Array<ArrayBuffer>
  readonly json?: JsonObject
}

/**
 * Returns the body of an answer with its empty members left out, in the one place that all answers of providers pass,
 * because openid-client takes `null` and `""` for values (C21); what it says of an error does not repeat the secrets of the
 * request. A body that is no JSON object stays as it is.
 */
export function readableBody(
  bytes: Uint8Array<ArrayBuffer>,
  value: unknown,
  request: ProviderRequest,
): ReadableBody {
  if (!isRecord(value)) return { body: bytes }
  try {
    const json = readable(withoutEmptyMembers(value) as JsonObject, request)
    return json === value
      ? { body: bytes, json }
      : { body: Buffer.from(JSON.stringify(json)), json }
  } catch {
    // Nested too deeply to be written again, and nothing that a reader here accepts.
    return { body: bytes }
  }
}

/** Headers of answers that are read here. */
const READ_HEADERS = ['content-type', 'www-authenticate', 'retry-after']

/** Returns the headers of an answer, with a challenge that does not repeat the secrets of the request. */
export function readableHeaders(
  received: Readonly<Record<string, readonly string[] | undefined>>,
  request: ProviderRequest,
): Headers {
  const headers = new Headers()
  for (const name of READ_HEADERS) {
    for (const value of received[name] ?? []) headers.append(name, value)
  }
  const challenge = headers.get('WWW-Authenticate')
  if (challenge !== null) {
    headers.set('WWW-Authenticate', withoutSecrets(challenge, secretsIn(request)))
  }
  return headers
}

/** Returns the ID token of a token answer as the provider sent it, which is what its signature covers. */
export function receivedIdToken(answer: JsonObject): string | undefined {
  return (answer[RECEIVED] ?? answer['id_token']) as string | undefined
}

/** Returns the claims of a JWT without verifying it, and without empty ones. Throws for what is no JWT. */
export function decodeClaims(jwt: string): JsonObject {
  return withoutEmptyMembers(decodeJwt(jwt)) as JsonObject
}

type JsonObject = Readonly<Record<string, unknown>>

/** Returns the answer itself where nothing of it has to change. */
function readable(answer: JsonObject, request: ProviderRequest): JsonObject {
  const { id_token: idToken, scope } = answer
  const claims = typeof idToken === 'string' ? changedClaims(idToken) : undefined
  const said = SAID.filter((name) => typeof answer[name] === 'string')
  // openid-client refuses a list (as Twitch sends it), although nothing here reads it.
  const isPlain =
    (scope === undefined || typeof scope === 'string') && !Object.hasOwn(answer, RECEIVED)
  if (isPlain && claims === undefined && said.length === 0) return answer
  const { [RECEIVED]: _, scope: __, ...others } = answer
  return {
    ...others,
    ...(typeof scope === 'string' && { scope }),
    ...(claims !== undefined && { id_token: claims, [RECEIVED]: idToken }),
    ...Object.fromEntries(
      said.map((name) => [name, withoutSecrets(String(answer[name]), secretsIn(request))]),
    ),
  }
}

/** Texts about an error, which are logged. */
const SAID = ['error', 'error_description']

/** Returns a JWT with its empty claims left out, whose signature does not fit; `undefined` where there are none. */
function changedClaims(jwt: string): string | undefined {
  const [header, payload = '', ...others] = jwt.split('.')
  const claims = parseJson(Buffer.from(payload, 'base64url').toString())
  if (!isRecord(claims)) return undefined
  const left = withoutEmptyMembers(claims)
  if (left === claims) return undefined
  return [header, Buffer.from(JSON.stringify(left)).toString('base64url'), ...others].join('.')
}
