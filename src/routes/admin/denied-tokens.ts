import { z } from 'zod'
import type { DeniedTokens } from '../../bearer/denied-tokens.ts'
import { nameOfToken, type TokenName } from '../../bearer/token-name.ts'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { parseJson } from '../../core/json.ts'
import { digestOfParts } from '../../crypto/digest.ts'
import { factsOf, invalidRequest } from '../../errors.ts'
import { json } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'
import { CLOCK_TOLERANCE_SECONDS, isReasonable } from '../../oidc/tokens/token-rules.ts'
import type { Log } from '../../telemetry/log.ts'
import { isJson, notJson, operatorOf, readParameters } from './request.ts'

export interface AdminDeniedTokensOptions {
  readonly deniedTokens: Pick<DeniedTokens, 'deny' | 'list'>
  /** Issuers whose tokens rules accept. */
  readonly bearerIssuers: () => ReadonlySet<string>
  /** Issuer of a `jti` without `iss`. */
  readonly issuer: string
  readonly log: Log
  readonly now: () => EpochMs
}

export interface AdminDeniedTokens {
  readonly listDeniedTokens: (c: NodeContext) => Promise<Response>
  readonly denyToken: (c: NodeContext) => Promise<Response>
}

const MAX_LISTED = 1000
/** Lifetime of a denial without `exp`. */
const LONGEST_LIFE_SECONDS = 24 * 60 * 60
/** Time past `exp` for which a replica may still accept a token, because each uses its own clock. */
const SKEW_SECONDS = 2 * CLOCK_TOLERANCE_SECONDS

const text = z.string().min(1)
const body = z.union([
  z.strictObject({ token: text }),
  z.strictObject({ jti: text, iss: z.exactOptional(text), exp: z.exactOptional(z.number()) }),
])

export function createAdminDeniedTokens(options: AdminDeniedTokensOptions): AdminDeniedTokens {
  const { deniedTokens, bearerIssuers, log, now } = options

  function nameOf(given: z.output<typeof body>): TokenName | undefined {
    if ('token' in given) return nameOfToken(given.token)
    const { jti, iss = options.issuer, exp } = given
    return { issuer: iss, jti, ...(exp !== undefined && { expiresAtSeconds: exp }) }
  }

  return {
    async listDeniedTokens(c) {
      readParameters(c, [])
      const denied = await deniedTokens.list()
      const ends = denied.map(({ leftMs }) => now() + leftMs).toSorted((a, b) => a - b)
      const answer = { denied: ends.length, ends: ends.slice(0, MAX_LISTED).map(describeTime) }
      const about = { count: denied.length, ...operatorOf(c) }
      log.info({ event: 'denied_tokens_listed', ...about }, 'an operator listed denied tokens')
      return json(200, answer, about.request_id)
    },

    async denyToken(c) {
      readParameters(c, [])
      if (!isJson(c)) return notJson()
      const { success, data } = body.safeParse(parseJson(await c.req.text()))
      if (!success) throw invalidRequest('The body must be {"token"} or {"jti","iss","exp"}.')
      const name = nameOf(data)
      if (!name) throw invalidRequest('The token must be a JWT with iss and jti.')
      const { issuer, jti, expiresAtSeconds = now() / 1000 + LONGEST_LIFE_SECONDS } = name
      if (!bearerIssuers().has(issuer)) {
        throw invalidRequest('No rule accepts tokens of this issuer.')
      }
      const leftSeconds = expiresAtSeconds - now() / 1000
      if (!isReasonable(leftSeconds))
        throw invalidRequest('exp must be a time in seconds since 1970.')

      const ttlMs = (leftSeconds + SKEW_SECONDS) * 1000
      const about = { token: digestOfParts(issuer, jti), ...operatorOf(c) }
      if (ttlMs <= 0) {
        log.info(
          { event: 'token_expired', ...about },
          'a token was not denied because it has expired',
        )
        return json(200, { denied: false, expired: true }, about.request_id)
      }
      await deniedTokens.deny(issuer, jti, ttlMs).catch((cause: unknown) => {
        log.error(
          { event: 'token_not_denied', ...factsOf(cause), ...about },
          'a token could not be denied and is still accepted',
        )
        throw cause
      })
      const until = describeTime(now() + ttlMs)
      log.info({ event: 'token_denied', until, ...about }, 'an operator denied a token')
      return json(200, { denied: true, until }, about.request_id)
    },
  }
}

function describeTime(ms: number): string {
  return new Date(ms).toISOString()
}
