import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { expect } from 'vitest'
import type { RuleSource } from '../../src/config/rules/rules-file.ts'
import type { TestProvider } from './provider.ts'
import { startRelyingParty } from './relying-party.ts'
import { writeRules } from './rules-file.ts'
import { type ClaimChanges, changeClaims, type SignOptions } from './tokens.ts'
import type { Forwarded } from './vestibule.ts'
import type { Visit, VisitHeaders } from './visitor.ts'

export const AUDIENCE = 'https://api.example.com'

export function bearerRule(
  path: string,
  bearer: Partial<RuleSource['bearer']> = {},
  rule: Partial<RuleSource> = {},
): RuleSource {
  return {
    paths: [path],
    access: 'signed-in',
    bearer: { audiences: [AUDIENCE], tokenType: 'at+jwt', ...bearer },
    ...rule,
  }
}

export type BearerParty = Awaited<ReturnType<typeof startBearerParty>>

/** Starts a service with these rules, and the provider whose tokens they accept. */
export async function startBearerParty(
  rules: readonly RuleSource[],
  settings: Readonly<Record<string, string>> = {},
  prepare?: Parameters<typeof startRelyingParty>[2],
) {
  await using stack = new AsyncDisposableStack()
  const { path } = stack.use(await writeRules(rules))
  const party = stack.use(
    await startRelyingParty({ VESTIBULE_CONFIG: path, ...settings }, {}, prepare),
  )
  const resources = stack.move()
  return {
    ...party,
    mint: (changes?: ClaimChanges, how?: SignOptions) =>
      mintAccessToken(party.provider, changes, how),
    present: (token: string, forwarded: Forwarded = {}, headers: VisitHeaders = {}) =>
      party.vestibule.check(
        { uri: '/api/', ...forwarded },
        { ...asProgram, Authorization: `Bearer ${token}`, ...headers },
      ),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Headers of a program, which sends neither `Accept` nor fetch metadata. */
export const asProgram: VisitHeaders = {
  Accept: undefined,
  'Accept-Language': undefined,
  'User-Agent': undefined,
  'Sec-Fetch-Site': undefined,
  'Sec-Fetch-Mode': undefined,
  'Sec-Fetch-User': undefined,
  'Sec-Fetch-Dest': undefined,
  'Upgrade-Insecure-Requests': undefined,
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

export function mintAccessToken(
  provider: Pick<TestProvider, 'issuer' | 'sign'>,
  changes: ClaimChanges = {},
  { header, ...how }: SignOptions = {},
): Promise<string> {
  const claims: JWTPayload = {
    iss: provider.issuer,
    aud: AUDIENCE,
    sub: 'robot',
    client_id: 'a-program',
    jti: crypto.randomUUID(),
    iat: nowSeconds(),
    exp: nowSeconds() + 300,
  }
  return provider.sign(changeClaims(claims, changes), {
    ...how,
    header: { typ: 'at+jwt', ...header },
  })
}

/** Asserts a refusal for programs: a challenge with this error, without page, redirect or cookie. */
export function expectTokenRefusal(visit: Visit, error: string, status: 401 | 403 = 401): void {
  expect({ status: visit.status, body: visit.body }).toEqual({
    status,
    body: JSON.stringify({ error }),
  })
  expect(visit.headers['content-type']).toBe('application/json')
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.location).toBeUndefined()
  expect(visit.setCookies).toEqual([])
  const challenge = visit.headers['www-authenticate'] ?? ''
  if (error !== 'forbidden') expect(challenge).toMatch(/^Bearer realm="app\.example\.com"/)
  if (error.startsWith('in')) expect(challenge).toContain(`error="${error}"`)
}

/** Key that tokens are bound to, and its DPoP proofs. */
export type ProofKey = Awaited<ReturnType<typeof createProofKey>>

export async function createProofKey(
  alg = 'ES256',
  options: { readonly crv?: string; readonly modulusLength?: number } = {},
) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, ...options })
  const jwk = await exportJWK(publicKey)
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    prove: (
      token: string,
      changes: ClaimChanges = {},
      header: Readonly<Record<string, unknown>> = {},
    ) => {
      const claims: JWTPayload = {
        jti: crypto.randomUUID(),
        htm: 'GET',
        htu: 'https://app.example.com/api/',
        iat: nowSeconds(),
        ath: createHash('sha256').update(token).digest('base64url'),
      }
      return new SignJWT(changeClaims(claims, changes))
        .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk, ...header })
        .sign(privateKey)
    },
  }
}
