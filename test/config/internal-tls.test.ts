import { X509Certificate } from 'node:crypto'
import { generate } from 'selfsigned'
import { beforeAll, expect, test, vi } from 'vitest'
import { type Authority, createAuthority } from '../../stand-ins/certificates.ts'
import { confidential, problemsOf, problemsWith, useFolder } from '../support/configuration.ts'

const CERT = 'INTERNAL_TLS_CERT_FILE'
const KEY = 'INTERNAL_TLS_KEY_FILE'
const CLIENT_CA = 'INTERNAL_TLS_CLIENT_CA_FILE'
const DAY_MS = 86_400_000

const folder = useFolder()
const texts: Record<string, string | Uint8Array> = {}
let authority: Authority

beforeAll(async () => {
  authority = await createAuthority()
  const [good, other, expired] = await Promise.all([
    authority.issue(['vestibule']),
    authority.issue(['vestibule']),
    authority.issue(['vestibule'], -DAY_MS),
  ])
  Object.assign(texts, {
    cert: good.certificate,
    key: good.privateKey,
    chain: `${good.certificate}\n${authority.certificate}`,
    reversed: `${authority.certificate}\n${good.certificate}`,
    otherKey: other.privateKey,
    expired: expired.certificate,
    expiredKey: expired.privateKey,
    ca: authority.certificate,
    half: good.certificate.slice(0, 200),
    binary: new X509Certificate(good.certificate).raw,
    nonsense: 'nonsense',
    empty: '',
  })
  for (const [name, text] of Object.entries(texts)) await folder.write(text, name)
})

/** Settings by the names of their files. */
function settingsOf(cert?: string, key?: string, ca?: string): Record<string, string> {
  const named = { [CERT]: cert, [KEY]: key, [CLIENT_CA]: ca }
  const given = Object.entries(named).filter(([, name]) => name !== undefined)
  return Object.fromEntries(given.map(([setting, name]) => [setting, folder.pathOf(String(name))]))
}

test.for([
  ['a certificate and its key', 'cert', 'key'],
  ['a certificate with that of its authority behind it', 'chain', 'key'],
  ['an authority of clients', 'cert', 'key', 'ca'],
  ['several of them', 'cert', 'key', 'chain'],
] as const)('%s can be used', ([, ...names]) =>
  expect(problemsWith(settingsOf(...names))).toEqual(problemsOf(confidential)),
)

test.for([
  [[undefined, 'key'], CERT, 'is not set, but INTERNAL_TLS_KEY_FILE is'],
  [['cert'], KEY, 'is not set, but INTERNAL_TLS_CERT_FILE is'],
  [[undefined, undefined, 'ca'], CERT, 'is not set, but INTERNAL_TLS_CLIENT_CA_FILE is'],
  [['none', 'key'], CERT, /none cannot be read \(ENOENT\): check the path and its permissions/],
  [['half', 'key'], CERT, /half holds no certificate that can be read; it must be PEM text/],
  [['binary', 'key'], CERT, /binary is binary \(DER or PKCS#12\): convert it to PEM text/],
  [['nonsense', 'key'], CERT, /holds no certificate/],
  [['empty', 'key'], CERT, /holds no certificate/],
  [['key', 'key'], CERT, /holds no certificate/],
  [['cert', 'none'], KEY, /none cannot be read \(ENOENT\)/],
  [['cert', 'nonsense'], KEY, /holds no private key that can be read/],
  [['cert', 'otherKey'], KEY, /is not that of the first certificate in INTERNAL_TLS_CERT_FILE/],
  [['reversed', 'key'], KEY, /the server's own certificate first/],
  [['expired', 'expiredKey'], CERT, /has expired at \d{4}-.*; renew it/],
  [['cert', 'key', 'none'], CLIENT_CA, /none cannot be read/],
  [['cert', 'key', 'nonsense'], CLIENT_CA, /holds no certificate/],
  [['cert', 'key', 'cert'], CLIENT_CA, /cert holds no root, .* add the root of this authority/],
  [['cert', 'key', 'expired'], CLIENT_CA, /every certificate in .* has expired/],
] as const)('%j stops the start with the name of %s', ([names, setting, problem]) => {
  const problems = problemsWith(settingsOf(...names))
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(new RegExp(`^${setting}: `))
  expect(problems[0]).toMatch(problem)
})

test('a certificate that is not valid yet stops the start', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 10 * DAY_MS })
  try {
    const [problem] = problemsWith(settingsOf('cert', 'key'))
    expect(problem).toMatch(/^INTERNAL_TLS_CERT_FILE: .* is not valid before \d{4}-/)
  } finally {
    vi.useRealTimers()
  }
})

test('a certificate for clients alone stops the start', async () => {
  const name = [{ name: 'commonName', value: 'traefik' }]
  const extensions = [{ name: 'extKeyUsage', clientAuth: true } as const]
  const client = await generate(name, { keyType: 'ec', algorithm: 'sha256', extensions })
  await folder.write(client.cert, 'client')
  await folder.write(client.private, 'clientKey')
  const problems = problemsWith(settingsOf('client', 'clientKey'))
  expect(problems).toEqual([expect.stringMatching(/^INTERNAL_TLS_CERT_FILE: .*is not for servers/)])
})

test('a key that OpenSSL finds too weak stops the start', async () => {
  const name = [{ name: 'commonName', value: 'vestibule' }]
  const weak = await generate(name, { keySize: 1024, algorithm: 'sha256' })
  await folder.write(weak.cert, 'weak')
  await folder.write(weak.private, 'weakKey')
  const problems = problemsWith(settingsOf('weak', 'weakKey'))
  expect(problems).toEqual([expect.stringMatching(/is not accepted by OpenSSL: .*too small/)])
})
