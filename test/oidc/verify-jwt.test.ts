import { FlattenedSign, generateKeyPair, type JWTClaimVerificationOptions } from 'jose'
import { expect, test } from 'vitest'
import { verifyJwt } from '../../src/oidc/tokens/verify-jwt.ts'

const { privateKey, publicKey } = await generateKeyPair('ES256')
const WITHOUT_BASE64 = { b64: false, crit: ['b64'] }

const verify = async (
  text: string | Buffer,
  expected: JWTClaimVerificationOptions,
  header: object = {},
) => {
  const signed = await new FlattenedSign(Buffer.from(text))
    .setProtectedHeader({ alg: 'ES256', ...header })
    .sign(privateKey, { crit: { b64: true } })
  // Left out of the result where it is not base64url.
  const payload = signed.payload || text.toString()
  const jwt = [signed.protected, payload, signed.signature].join('.')
  return verifyJwt(jwt, () => Promise.resolve(publicKey), { algorithms: ['ES256'], ...expected })
}

test('C21: claims are verified without the empty ones', async () => {
  const { payload } = await verify('{"sub":"a","nbf":null,"exp":"","aud":["x",""]}', {
    audience: 'x',
  })
  expect(payload).toEqual({ sub: 'a', aud: ['x', ''] })
})

test.for<[string, string | Buffer, JWTClaimVerificationOptions, object?]>([
  ['an empty claim that is required', '{"sub":""}', { requiredClaims: ['sub'] }],
  ['an audience that is null', '{"aud":null}', { audience: 'x' }],
  ['an exp that has passed', '{"exp":1}', {}],
  ['bytes that are not UTF-8', Buffer.from('{"sub":"\xff"}', 'latin1'), {}],
  ['a byte order mark', '\ufeff{"sub":"a"}', {}],
  ['a list', '[]', {}],
  ['no JSON', 'x', {}],
  ['a payload without base64url', '{"sub":"a"}', {}, WITHOUT_BASE64],
])('C21: what jose refuses is still refused: %s', ([, payload, expected, header]) =>
  expect(verify(payload, expected, header)).rejects.toMatchObject({
    code: expect.stringMatching(/^ERR_JW[TS]_/) as string,
  }),
)
