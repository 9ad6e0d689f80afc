/**
 * Accepted algorithms of signatures, asymmetric only, so that a party that can verify a token cannot forge one (RFC 8725
 * section 3.2, threat A80).
 */
export const SIGNING_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const
