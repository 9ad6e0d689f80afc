import type { EpochMs } from '../../core/epoch-ms.ts'
import { encodeHeaderValue, isFaithful } from '../../core/header-value.ts'
import {
  ACCESS_TOKEN_HEADER,
  type IdentityHeader,
  identityHeaders,
} from '../../core/identity-headers.ts'
import type { Principal } from '../../core/session.ts'
import { AuthError } from '../../errors.ts'
import type { CheckedRequest } from './checked-request.ts'

/** Answers a check with 200, as nothing else does; without a principal the identity headers are empty. */
export type Allow = (
  checked: CheckedRequest,
  principal: Principal | undefined,
  setCookie?: string,
) => Response

export interface AllowOptions {
  readonly headers: readonly IdentityHeader[]
  readonly headersMaxBytes: number
  readonly passesAccessToken: boolean
  readonly passesAuthorization: boolean
  readonly now: () => EpochMs
}

/** Creates `Allow`, which caches the headers of each session and token. */
export function createAllow(options: AllowOptions): Allow {
  const { headers, headersMaxBytes } = options
  const addTokens = createTokenHeaders(options)
  const nobody = identityAnswer(undefined)
  const issued = new WeakMap<Principal, HeaderValues>()

  function identityAnswer(principal: Principal | undefined): HeaderValues {
    return {
      'Content-Length': '0',
      ...identityHeaders(principal?.identity, headers, headersMaxBytes),
    }
  }

  return function allow({ cookies }, principal, setCookie): Response {
    const identity = principal ? issued.getOrInsertComputed(principal, identityAnswer) : nobody
    const answer = addTokens ? addTokens(identity, principal) : identity
    const { others } = cookies
    const sent = others === undefined ? answer : { ...answer, Cookie: others }
    return new Response(null, {
      status: 200,
      headers: setCookie === undefined ? sent : { ...sent, 'Set-Cookie': setCookie },
    })
  }
}

type HeaderValues = Readonly<Record<string, string>>

/** Creates the function that adds a valid access token to the answer; returns `undefined` when apps get no tokens. */
function createTokenHeaders({ passesAccessToken, passesAuthorization, now }: AllowOptions) {
  if (!passesAccessToken && !passesAuthorization) return undefined
  const encoded = new WeakMap<AccessToken, string>()
  const setting = passesAccessToken ? 'PASS_ACCESS_TOKEN' : 'PASS_AUTHORIZATION'

  /** Encodes the token without changing it, or throws, because a changed one would be another token (finding C10). */
  function encode({ value }: AccessToken): string {
    if (isFaithful(value)) return encodeHeaderValue(value)
    throw new AuthError(
      'unusable_token',
      `the access token has characters that no header can carry, and ${setting} is set`,
      { isPublic: true, facts: { setting } },
    )
  }

  return (identity: HeaderValues, principal: Principal | undefined): HeaderValues => {
    const given = principal?.accessToken
    const isValid = given !== undefined && (given.expiresAt ?? Number.POSITIVE_INFINITY) > now()
    const token = isValid ? encoded.getOrInsertComputed(given, encode) : ''
    return {
      ...identity,
      ...(passesAccessToken && { [ACCESS_TOKEN_HEADER]: token }),
      ...(passesAuthorization && token !== '' && { Authorization: `Bearer ${token}` }),
    }
  }
}

type AccessToken = NonNullable<Principal['accessToken']>
