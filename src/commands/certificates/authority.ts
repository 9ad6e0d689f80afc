import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  X509Certificate as Certificate,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** PEM texts of a certificate and its private key. */
export interface CertificateAndKey {
  readonly certificate: string
  readonly privateKey: string
}

export type AlternativeName = JsonGeneralName & { readonly type: 'dns' | 'ip' }

/** Reports that certificates cannot be made; the message is meant for the operator. */
export class CertificateError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CertificateError'
  }
}

export interface CertificateRequest {
  readonly commonName: string
  readonly names: readonly AlternativeName[]
  readonly usage: 'server' | 'client'
  readonly days: number
}

export interface Authority {
  /** Issues a certificate with a new key, which ends with the authority at the latest. */
  readonly issue: (request: CertificateRequest) => Promise<CertificateAndKey>
}

/** Key type that every TLS library accepts, Go's and OpenSSL's in their strict modes included. */
const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000
/** Allows for clocks of other machines that are behind. */
const CLOCK_SKEW_MS = 600_000
/** Makes the server's certificate one for clients too, because our own commands present it (`INTERNAL_TLS_CLIENT_CA_FILE`). */
const USAGES = {
  server: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
  client: [ExtendedKeyUsage.clientAuth],
}

/** Makes an authority that can issue certificates, but no further authority. */
export async function createAuthority(days: number): Promise<CertificateAndKey> {
  const keys = await makeKeys()
  // The random part tells authorities of the same kind apart, in messages and where two are trusted during a change.
  const name = `CN=Vestibule internal authority ${randomBytes(4).toString('hex')}`
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity(days),
    name,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return pairOf(certificate, keys)
}

/** Opens an authority that `createAuthority` made. Throws `CertificateError` for anything else. */
export async function openAuthority({
  certificate,
  privateKey,
}: CertificateAndKey): Promise<Authority> {
  const key = readKey(privateKey)
  const authority = readCertificate(certificate, 'ca.crt')
  const { ca: isAuthority, validTo } = new X509Certificate(certificate)
  if (!isAuthority) throw new CertificateError('ca.crt is not the certificate of an authority')
  if (!new X509Certificate(certificate).checkPrivateKey(key))
    throw new CertificateError('ca.key is not the key of ca.crt')
  if (authority.notAfter.getTime() <= Date.now())
    throw new CertificateError(`ca.crt has expired on ${validTo}: make a new folder`)
  const signingKey = key.toCryptoKey(KEY, false, ['sign'])
  const authorityKeyId = await keyIdOf(authority)

  async function issue({ commonName, names, usage, days }: CertificateRequest) {
    const keys = await makeKeys()
    const { notBefore, notAfter, serialNumber, signingAlgorithm } = validity(days)
    const issued = await X509CertificateGenerator.create({
      notBefore,
      notAfter: notAfter < authority.notAfter ? notAfter : authority.notAfter,
      serialNumber,
      signingAlgorithm,
      subject: `CN=${commonName}`,
      issuer: authority.subjectName,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(USAGES[usage]),
        new SubjectAlternativeNameExtension([...names]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        new AuthorityKeyIdentifierExtension(authorityKeyId),
      ],
    })
    return pairOf(issued, keys)
  }
  return { issue }
}

/** Returns the names of a certificate. Throws `CertificateError` for what is not a certificate. */
export function alternativeNamesOf(certificate: string, file: string): readonly JsonGeneralName[] {
  const names = readCertificate(certificate, file).getExtension(SubjectAlternativeNameExtension)
  return names?.names.toJSON() ?? []
}

function readCertificate(text: string, file: string): Certificate {
  try {
    return new Certificate(text)
  } catch {
    throw new CertificateError(`${file} is not a certificate`)
  }
}

function readKey(text: string): KeyObject {
  const unusable = 'ca.key is not an ECDSA key of the curve P-256, as this command makes them'
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key
  } catch {
    throw new CertificateError(unusable)
  }
  throw new CertificateError(unusable)
}

async function keyIdOf(authority: Certificate): Promise<string> {
  const own = authority.getExtension(SubjectKeyIdentifierExtension)
  return (own ?? (await SubjectKeyIdentifierExtension.create(authority.publicKey))).keyId
}

function validity(days: number) {
  const nowMs = Math.floor(Date.now() / 1000) * 1000
  return {
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    serialNumber: randomSerial(),
    signingAlgorithm: SIGNATURE,
  }
}

/** Returns 126 random bits, with a first byte for which DER needs no other form of the number. */
function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0)
  return bytes.toString('hex')
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify'])
}

function pairOf(
  certificate: Certificate,
  { privateKey }: webcrypto.CryptoKeyPair,
): CertificateAndKey {
  const key = KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' })
  return { certificate: `${certificate.toString('pem')}\n`, privateKey: key }
}
