import { isUtf8 } from 'node:buffer'
import {
  type CompactVerifyResult,
  compactVerify,
  type JWTClaimVerificationOptions,
  type JWTPayload,
  type JWTVerifyGetKey,
  UnsecuredJWT,
  type VerifyOptions,
} from 'jose'
import { withoutEmptyMembers } from '../../core/claims.ts'
import { parseJson } from '../../core/json.ts'

/** Verified JWT. */
export interface VerifiedJwt {
  readonly payload: JWTPayload
  readonly protectedHeader: CompactVerifyResult['protectedHeader']
}

const UNSECURED = encode({ alg: 'none' })

/**
 * Verifies the signature of a JWT as received, then its claims without the empty ones (C21), both as jose's
 * `jwtVerify` does, which takes `"nbf": null` for a value. Throws jose's errors.
 */
export async function verifyJwt(
  jwt: string,
  keySet: JWTVerifyGetKey,
  options: JWTClaimVerificationOptions & VerifyOptions,
): Promise<VerifiedJwt> {
  const { algorithms, ...expected } = options
  const { payload, protectedHeader } = await compactVerify(jwt, keySet, {
    ...(algorithms && { algorithms }),
  })
  // jose refuses `null`, as it refuses bytes that are not UTF-8 and a payload that is not base64url.
  const isReadable = isUtf8(payload) && protectedHeader.b64 !== false
  const json = isReadable ? parseJson(Buffer.from(payload).toString()) : undefined
  const left = withoutEmptyMembers(json) ?? null
  const claims = left === json ? jwt.split('.', 2)[1] : encode(left)
  return {
    payload: UnsecuredJWT.decode(`${UNSECURED}.${claims}.`, expected).payload,
    protectedHeader,
  }
}

function encode(json: unknown): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url')
}
