import { expect, test } from 'vitest'
import type { VerifyByIssuer } from '../../src/bearer/trusted-issuers.ts'
import { createBearerVerifier } from '../../src/bearer/verify-bearer.ts'

const ISSUER = 'https://id.example.com'
const NOW_SECONDS = 1_700_000_000

const payload = {
  iss: ISSUER,
  sub: 'robot',
  aud: 'api',
  exp: NOW_SECONDS + 600,
  iat: NOW_SECONDS,
  jti: 'a',
  client_id: 'a-program',
}
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const TOKEN = `${encode({ alg: 'ES256', typ: 'at+jwt' })}.${encode(payload)}.c2ln`

/** Verifier whose issuer takes until `answer` is called. */
function start() {
  const { promise, resolve } = Promise.withResolvers<void>()
  const verify = (async () => {
    await promise
    return { payload, protectedHeader: { alg: 'ES256', typ: 'at+jwt' } }
  }) as unknown as VerifyByIssuer
  const verifier = createBearerVerifier({
    issuers: { verifierOf: () => verify, close: () => undefined },
    denied: { includes: () => false, initialLoad: Promise.resolve() },
    clientId: 'vestibule',
    identity: { groupsClaim: 'groups', emailClaim: 'email', trustEmail: false, claims: [] },
    withAccessToken: false,
    now: () => NOW_SECONDS * 1000,
  })
  return { verifier, answer: resolve }
}

test.for([
  ['is kept', false, 1],
  ['is not kept where the tokens were cleared meanwhile, as with new rules', true, 0],
] as const)('a token that is verified %s', async ([, isCleared, size]) => {
  const { verifier, answer } = start()
  const verified = verifier.verify(TOKEN)
  if (isCleared) verifier.clear()
  answer()
  expect((await verified).kind).toBe('bearer')
  expect(verifier.size).toBe(size)
})
