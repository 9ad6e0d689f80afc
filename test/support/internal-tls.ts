import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rename, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, createAuthority } from '../../stand-ins/certificates.ts'

export const SERVER_NAMES = ['localhost', '127.0.0.1']

/** An authority, and a certificate for the internal listener in files. */
export type TlsFiles = Awaited<ReturnType<typeof makeTlsFiles>>

export async function makeTlsFiles() {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-tls-'))
  const authority = await createAuthority()
  const files = {
    certFile: join(folder, 'tls.crt'),
    keyFile: join(folder, 'tls.key'),
    caFile: join(folder, 'ca.crt'),
  }
  const write = async (certificate: string, privateKey: string) => {
    await writeFile(files.certFile, certificate)
    await writeFile(files.keyFile, privateKey)
  }
  const issued = await authority.issue(SERVER_NAMES)
  await write(issued.certificate, issued.privateKey)
  await writeFile(files.caFile, authority.certificate)
  const settings = {
    INTERNAL_TLS_CERT_FILE: files.certFile,
    INTERNAL_TLS_KEY_FILE: files.keyFile,
  }
  return {
    ...files,
    folder,
    authority,
    issued,
    write,
    settings,
    /** Settings that demand client certificates. */
    mutual: { ...settings, INTERNAL_TLS_CLIENT_CA_FILE: files.caFile },
    /** Options of a client with this certificate. */
    clientWith: ({ certificate, privateKey }: Certificate) => ({
      cert: certificate,
      key: privateKey,
    }),
    /** Puts both files behind a link that is swapped at once. */
    swapTo: async (name: string, { certificate, privateKey }: Certificate) => {
      const place = join(folder, name)
      await mkdir(place)
      await writeFile(join(place, 'tls.crt'), certificate)
      await writeFile(join(place, 'tls.key'), privateKey)
      await symlink(name, join(folder, '.next'))
      await rename(join(folder, '.next'), join(folder, 'data'))
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

let shared: Promise<TlsFiles> | undefined

/** Credentials of a listener that stay, from the shared files. */
export async function sharedCredentials() {
  const { issued } = await sharedTlsFiles()
  const current = () => ({ cert: issued.certificate, key: issued.privateKey })
  return { current, onReplaced: () => undefined }
}

/** The files that all services of this process share. */
export function sharedTlsFiles(): Promise<TlsFiles> {
  shared ??= makeTlsFiles().then((made) => {
    process.once('exit', made[Symbol.dispose])
    return made
  })
  return shared
}
