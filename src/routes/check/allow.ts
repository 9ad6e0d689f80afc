import type { EpochMs } from '../../core/epoch-ms.ts'
import { encodeHeaderValue, isFaithful } from '../../core/header-value.ts'
import { type IdentityHeader, identityHeaders } from '../../core/identity-headers.ts'
import type { Principal, TokenKind } from '../../core/session.ts'
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
  /** Token that `Authorization` carries. */
  readonly authorization: TokenKind | false
  readonly now: () => EpochMs
}

/** Creates `Allow`, which caches the headers of each session and token until a token among them expires. */
export function createAllow(options: AllowOptions): Allow {
  const { headers, headersMaxBytes, now } = options
  const tokenHeaders = tokenHeadersOf(options)
  const nobody = prepare(undefined)
  const prepared = new WeakMap<Principal, PreparedAnswer>()

  function prepare(principal: Principal | undefined): PreparedAnswer {
    const values: Record<string, string> = {
      'Content-Length': '0',
      ...identityHeaders(principal?.identity, headers, headersMaxBytes),
    }
    let endsAt = Number.POSITIVE_INFINITY
    for (const header of tokenHeaders) {
      const token = principal && tokenOf(principal, header.token)
      const { value = '', expiresAt = Number.POSITIVE_INFINITY } = token ?? {}
      if (value === '' || expiresAt <= now()) continue
      values[header.name] = `${header.scheme}${encodeToken(value, header)}`
      endsAt = Math.min(endsAt, expiresAt)
    }
    return { values, endsAt }
  }

  function answerFor(principal: Principal): HeaderValues {
    const known = prepared.get(principal)
    if (known && (known.endsAt === Number.POSITIVE_INFINITY || now() < known.endsAt)) {
      return known.values
    }
    const answer = prepare(principal)
    prepared.set(principal, answer)
    return answer.values
  }

  return function allow({ cookies }, principal, setCookie): Response {
    const answer = principal ? answerFor(principal) : nobody.values
    const { others } = cookies
    const sent = others === undefined ? answer : { ...answer, Cookie: others }
    return new Response(null, {
      status: 200,
      headers: setCookie === undefined ? sent : { ...sent, 'Set-Cookie': setCookie },
    })
  }
}

type HeaderValues = Readonly<Record<string, string>>

/** Headers of an answer, which hold until a token among them expires. */
interface PreparedAnswer {
  readonly values: HeaderValues
  readonly endsAt: EpochMs
}

/** Header that carries a token of the provider, and the setting that asks for it. */
interface TokenHeader {
  readonly name: string
  readonly token: TokenKind
  readonly scheme: 'Bearer ' | ''
  readonly setting: 'PASS_ACCESS_TOKEN' | 'PASS_AUTHORIZATION'
}

function tokenHeadersOf({ headers, authorization }: AllowOptions): readonly TokenHeader[] {
  const named = headers
    .filter(({ source }) => source.kind === 'access-token')
    .map(({ name }): TokenHeader => {
      return { name, token: 'access-token', scheme: '', setting: 'PASS_ACCESS_TOKEN' }
    })
  if (!authorization) return named
  const bearer = { token: authorization, scheme: 'Bearer ', setting: 'PASS_AUTHORIZATION' } as const
  return [...named, { name: 'Authorization', ...bearer }]
}

function tokenOf(principal: Principal, kind: TokenKind): Principal['accessToken'] {
  switch (kind) {
    case 'access-token':
      return principal.accessToken
    case 'id-token':
      return principal.idToken
  }
}

/** Encodes a token without changing it, or throws, because a changed one would be another token (finding C10). */
function encodeToken(value: string, { token, setting }: TokenHeader): string {
  if (isFaithful(value)) return encodeHeaderValue(value)
  const name = token === 'access-token' ? 'access token' : 'ID token'
  throw new AuthError(
    'unusable_token',
    `the ${name} has characters that no header can carry, and ${setting} is set`,
    { isPublic: true, facts: { setting } },
  )
}
