import { decodeJwt } from 'jose'
import { withoutEmptyMembers } from '../../core/claims.ts'
import { isRecord, parseJson } from '../../core/json.ts'
import { withoutSecrets } from './sent-secrets.ts'

/** Member of a token answer that keeps the ID token as received where openid-client reads a changed one. */
const RECEIVED = 'vestibule_received_id_token'

/**
 * Returns the body of an answer with its empty members left out, in the one place that all answers of providers pass,
 * because openid-client takes `null` and `""` for values (C21); what it says of an error does not repeat the secrets of the
 * request. A body that is no JSON object stays as it is.
 */
export function withoutEmptyValues(
  body: Uint8Array<ArrayBuffer>,
  secrets: readonly string[] = [],
): Uint8Array<ArrayBuffer> {
  const json = parseJson(new TextDecoder().decode(body))
  if (!isRecord(json)) return body
  try {
    const answer = readable(withoutEmptyMembers(json) as JsonObject)
    return Buffer.from(JSON.stringify({ ...answer, ...saidIn(answer, secrets) }))
  } catch {
    // Nested too deeply to be written again, and nothing that a reader here accepts.
    return body
  }
}

/** Returns the headers of an answer, with a challenge that does not repeat the secrets of the request. */
export function readableHeaders(
  received: Readonly<Record<string, readonly string[] | undefined>>,
  secrets: readonly string[],
): Headers {
  const headers = new Headers(
    Object.entries(received).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    ),
  )
  const challenge = headers.get('WWW-Authenticate')
  if (challenge !== null) headers.set('WWW-Authenticate', withoutSecrets(challenge, secrets))
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

/** Returns the texts about an error, which are logged. */
function saidIn(answer: JsonObject, secrets: readonly string[]): JsonObject {
  return Object.fromEntries(
    ['error', 'error_description'].flatMap((name) => {
      const text = answer[name]
      return typeof text === 'string' ? [[name, withoutSecrets(text, secrets)]] : []
    }),
  )
}

type JsonObject = Readonly<Record<string, unknown>>

function readable(answer: JsonObject): JsonObject {
  const { [RECEIVED]: _, scope, ...others } = answer
  // openid-client refuses a list (as Twitch sends it), although nothing here reads it.
  const members = { ...others, ...(typeof scope === 'string' && { scope }) }
  const { id_token: idToken } = answer
  const claims = typeof idToken === 'string' ? changedClaims(idToken) : undefined
  return claims === undefined ? members : { ...members, id_token: claims, [RECEIVED]: idToken }
}

/** Returns a JWT with its empty claims left out, whose signature does not fit; `undefined` where there are none. */
function changedClaims(jwt: string): string | undefined {
  const [header, payload = '', ...others] = jwt.split('.')
  const claims = parseJson(Buffer.from(payload, 'base64url').toString())
  if (!isRecord(claims)) return undefined
  const left = JSON.stringify(withoutEmptyMembers(claims))
  if (left === JSON.stringify(claims)) return undefined
  return [header, Buffer.from(left).toString('base64url'), ...others].join('.')
}
