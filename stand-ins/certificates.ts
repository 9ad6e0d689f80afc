import { generate } from 'selfsigned'

/** PEM texts of a certificate and its private key. */
export interface Certificate {
  readonly certificate: string
  readonly privateKey: string
}

/** Certificate authority of a test. */
export interface Authority {
  readonly certificate: string
  readonly issue: (hosts: readonly string[], lifetimeMs?: number) => Promise<Certificate>
}

const DAY_MS = 86_400_000

export const createAuthority = async (name = 'Vestibule test authority'): Promise<Authority> => {
  const authority = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true },
    ],
  })
  return {
    certificate: authority.cert,
    issue: async (hosts, lifetimeMs = DAY_MS) => {
      const altNames = hosts.map((host) =>
        /^[\d.]+$/.test(host)
          ? ({ type: 7, ip: host } as const)
          : ({ type: 2, value: host } as const),
      )
      const issued = await generate([{ name: 'commonName', value: hosts[0] }], {
        keyType: 'ec',
        algorithm: 'sha256',
        notAfterDate: new Date(Date.now() + lifetimeMs),
        ca: { key: authority.private, cert: authority.cert },
        extensions: [{ name: 'subjectAltName', altNames }],
      })
      return { certificate: issued.cert, privateKey: issued.private }
    },
  }
}
