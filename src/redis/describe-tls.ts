/** Server of a sentence, and what to correct where its address is wrong. */
export interface Place {
  readonly at: string
  readonly namedBy: string
}

export interface TlsFailure {
  /** Code of the TLS error. */
  readonly code: string
  /** Whether only one side speaks TLS, whatever the code. */
  readonly isMismatch: boolean
  readonly isTls: boolean
}

/** Returns the sentence that says why no TLS connection came about. */
export function tlsReason({ at, namedBy }: Place, { code, isMismatch, isTls }: TlsFailure): string {
  if (isMismatch || /WRONG_VERSION|PACKET_LENGTH|HTTP_REQUEST/.test(code)) {
    return isTls
      ? `${at} does not speak TLS: set REDIS_ENABLE_TLS=false, or name its TLS port`
      : `${at} speaks TLS: set REDIS_ENABLE_TLS=true, or name its port without TLS`
  }
  if (code.includes('ALTNAME'))
    return `${at} has a certificate for another name: use the name that it holds in ${namedBy}`
  const found = TLS_REASONS.find(([pattern]) => pattern.test(code))
  return `${at} ${found?.[1] ?? 'and Vestibule agree on no TLS: compare versions and ciphers'}`
}

/** Reasons by the code of the TLS error, without the address before them. */
const TLS_REASONS: readonly (readonly [RegExp, string])[] = [
  [/HAS_EXPIRED/, 'has a certificate that has expired: renew it'],
  [/NOT_YET_VALID/, 'has a certificate that is not valid yet: check the clocks'],
  [
    /CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE/,
    'does not accept the client certificate: set REDIS_CERT_FILE and REDIS_KEY_FILE',
  ],
  [
    /SELF_SIGNED|UNABLE_TO|CERT_/,
    'has a certificate of an authority that is not trusted here: set REDIS_CA_FILE',
  ],
  [
    /PEM|KEY_VALUES|OSSL/,
    'was not asked: REDIS_CA_FILE, REDIS_CERT_FILE or REDIS_KEY_FILE holds no usable PEM',
  ],
]
