import { expect, test } from 'vitest'
import { startProcess } from '../../stand-ins/process.ts'
import { sharedTlsFiles } from '../support/internal-tls.ts'
import { startVestibule } from '../support/vestibule.ts'
import { CHART } from './charts.ts'

const files = await sharedTlsFiles()
const PROTECTED = 'https://app.example.com'
const TLS = { TLS_FOLDER: files.folder }
const FINE = ['/readyz: 200', '/healthz: 200', 'foreign_host as it should be']

/** Runs of the script of `helm test`: settings of Vestibule, environment of the script, exit code and what is printed. */
test.for([
  ['an installation', {}, {}, 0, [...FINE, '/auth for a stranger: 401']],
  ['TLS', files.settings, TLS, 0, FINE],
  ['client certificates', files.mutual, { ...TLS, CLIENT_CERTIFICATE: 'true' }, 0, FINE],
  ['no client certificate', files.mutual, TLS, 1, ['/readyz: 200', '/auth for a stranger: 403']],
  ['an unknown authority', files.settings, {}, 1, ['NOT as it should be']],
  ['another host', {}, { PROTECTED_ORIGIN: 'https://x.test' }, 1, ['400 foreign_host NOT']],
  ['other proxies', { TRUSTED_PROXIES: '192.0.2.1' }, {}, 0, ['403 untrusted_peer as']],
  ['a Vestibule that is away', {}, { PUBLIC_ORIGIN: 'http://127.0.0.1:9' }, 1, ['ECONNREFUSED']],
] as const)('helm test says of %s how it is', async ([, settings, changes, code, texts]) => {
  await using vestibule = await startVestibule(settings)
  const scheme = 'INTERNAL_TLS_CERT_FILE' in settings ? 'https' : 'http'
  const env = {
    PUBLIC_ORIGIN: `http://127.0.0.1:${vestibule.publicPort}`,
    INTERNAL_ORIGIN: `${scheme}://127.0.0.1:${vestibule.internalPort}`,
    PROTECTED_ORIGIN: PROTECTED,
    ...changes,
  }
  const asking = startProcess(process.execPath, [`${CHART}/files/ask.mjs`], { env })
  expect(await asking.exited, asking.output()).toBe(code)
  for (const text of texts) expect(asking.output()).toContain(text)
})
