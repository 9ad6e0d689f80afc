import { ClientError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import { isRecord, parseJson } from '../../core/json.ts'
import { isBeforeSending } from '../request/network-fault.ts'
import { codeOf, responseOf } from '../request/provider-errors.ts'

/** Answer that an error is about, as far as it is known; the texts are the provider's own. */
export interface ProviderAnswer {
  readonly status?: number
  /** OAuth error code and description (RFC 6749 section 5.2, RFC 6750 section 3). */
  readonly error?: string
  readonly description?: string
  /** Whether the body is JSON, whatever it says. */
  readonly isJson: boolean
}

/** Status and OAuth error of an answer, as far as they are known. */
export interface Told {
  readonly status?: number | undefined
  readonly error?: string | undefined
}

/** Returns whether the client could not prove itself: 401, which Keycloak calls `unauthorized_client` and some give no name. */
export function isClientRefused({ status, error }: Told): boolean {
  const isUnproven = error === undefined || error === 'unauthorized_client'
  return error === 'invalid_client' || (status === 401 && isUnproven)
}

/** Reads the answer that an error is about, also where openid-client has not read its body. */
export async function answerOf(cause: unknown): Promise<ProviderAnswer> {
  const response = responseOf(cause)
  const about = bodyIn(cause)
  const body = about ? about.body : await unreadBodyOf(cause, response)
  // openid-client complains about the content of answers with 200 alone.
  const status = response?.status ?? (about ? 200 : undefined)
  const said = { ...challengeParametersOf(cause), ...(isRecord(body) && body) }
  return {
    ...(status !== undefined && { status }),
    ...textsOf(said),
    isJson: body !== undefined,
  }
}

function textsOf(said: Readonly<Record<string, unknown>>) {
  const { error, error_description: description } = said
  return {
    ...(typeof error === 'string' && error !== '' && { error }),
    ...(typeof description === 'string' && description !== '' && { description }),
  }
}

async function unreadBodyOf(cause: unknown, response: Response | undefined): Promise<unknown> {
  if (cause instanceof ResponseBodyError) return cause.cause
  if (!response || response.bodyUsed || !isJsonAnswer(response)) return undefined
  return parseJson(await response.clone().text())
}

function isJsonAnswer({ headers }: Response): boolean {
  return /^application\/(?:[a-z0-9.+-]+\+)?json\b/i.test(headers.get('content-type') ?? '')
}

function challengeParametersOf(cause: unknown): Record<string, unknown> {
  if (!(cause instanceof WWWAuthenticateChallengeError)) return {}
  return { ...cause.cause.find(({ parameters }) => 'error' in parameters)?.parameters }
}

/** Returns the code of a connection that failed before the request was sent; `undefined` for any other failure. */
export function unsentCodeOf(cause: unknown): string | undefined {
  return chainOf(cause).map(codeOf).find(isBeforeSending)
}

/** Returns the member of a JSON answer that is missing or of a wrong type; `undefined` for any other failure. */
export function missingMemberOf(cause: unknown): string | undefined {
  const [outer] = chainOf(cause).slice(-2)
  if (!(outer instanceof Error) || !isAboutBody(cause)) return undefined
  return /body "([a-z_]+)" property/.exec(outer.message)?.[1]
}

/**
 * Returns the parameters of the callback where they are at fault, which openid-client verifies before it sends the code;
 * they are absent where one is missing or repeated.
 */
export function refusedParametersOf(
  cause: unknown,
): { readonly expected?: unknown; readonly parameters?: URLSearchParams } | undefined {
  if (!(cause instanceof ClientError) || !(cause.cause instanceof Error)) return undefined
  const about = cause.cause.cause
  if (about === undefined) return {}
  if (!isRecord(about)) return undefined
  const { parameters, expected } = about
  return parameters instanceof URLSearchParams ? { parameters, expected } : undefined
}

/** Returns what makes an ID token unreadable; `undefined` for any other failure. */
export function unreadableIdToken(cause: unknown): string | undefined {
  const messages = chainOf(cause).map((each) => (each instanceof Error ? each.message : ''))
  return UNREADABLE_TOKENS.find(([sign]) => messages.some((text) => sign.test(text)))?.[1]
}

/** Texts of openid-client about a token, whose codes say less, and what they mean. */
const UNREADABLE_TOKENS: readonly (readonly [RegExp, string])[] = [
  [/^JWE decryption/, 'is encrypted; let the provider sign it only'],
  [/^no JWT "crit"/, 'demands an extension (crit) that is not supported'],
  [/^Invalid JWT$|JWT (?:Header|Payload)/, 'is no JWT'],
]

/** Returns whether the body of a response is at fault rather than the parameters that the browser sent. */
export function isAboutBody(cause: unknown): boolean {
  return bodyIn(cause) !== undefined
}

function bodyIn(cause: unknown): { readonly body: unknown } | undefined {
  return chainOf(cause).find(
    (each): each is { readonly body: unknown } => 'body' in each && !(each instanceof Response),
  )
}

/** Returns an error with all its causes, outermost first. */
function chainOf(cause: unknown): readonly object[] {
  const chain: object[] = []
  let each = cause
  while (isRecord(each) && chain.length < MAX_CAUSES) {
    chain.push(each)
    each = each['cause']
  }
  return chain
}

const MAX_CAUSES = 8
