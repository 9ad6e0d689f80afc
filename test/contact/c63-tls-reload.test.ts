import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type KeptCertificate, keepCertificate } from '../../src/compose/internal-tls.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { openHttp2 } from '../support/http2-client.ts'
import { makeTlsFiles, SERVER_NAMES, type TlsFiles } from '../support/internal-tls.ts'
import { countEvents } from '../support/outage.ts'
import { parseLine, startVestibule } from '../support/vestibule.ts'
import { FORWARDED } from '../support/wire-requests.ts'

const HEADERS = Object.entries(FORWARDED).flat()
const DAY_MS = 86_400_000
/** Within this time a change has to be noticed. */
const NOTICED_MS = 30_000

describe('C63: the certificate of the internal listener is read again', () => {
  let files: TlsFiles
  const makers: Readonly<Record<string, () => Promise<string>>> = {
    'the key of another certificate': async () => (await files.authority.issue(['a'])).certificate,
    'a half-written file': async () => files.issued.certificate.slice(0, 300),
    'an empty file': async () => '',
  }
  let kept: KeptCertificate
  let lines: string[]

  beforeEach(async () => {
    files = await makeTlsFiles()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    lines = []
    const log = createLog('info', { write: (line) => void lines.push(line) })
    kept = keepCertificate(files, log)
  })
  afterEach(() => {
    kept.close()
    vi.useRealTimers()
    files[Symbol.dispose]()
  })

  const events = () => lines.flatMap(parseLine).map(({ event }) => event)
  const codes = () => kept.findings().map(({ code }) => code)

  test('a new one is used, told once and is no finding', async () => {
    const replaced = vi.fn()
    kept.onReplaced(replaced)
    const next = await files.authority.issue(SERVER_NAMES)
    await files.write(next.certificate, next.privateKey)
    vi.advanceTimersByTime(NOTICED_MS)
    expect(kept.current().cert).toBe(next.certificate.trim())
    expect(replaced).toHaveBeenCalledOnce()
    expect([events(), codes()]).toEqual([['tls_reloaded'], []])
  })

  test('files behind a link that is swapped are read through it', async () => {
    await files.swapTo('one', files.issued)
    kept.close()
    const log = createLog('info', { write: (line) => void lines.push(line) })
    const folder = `${files.folder}/data`
    const linked = { certFile: `${folder}/tls.crt`, keyFile: `${folder}/tls.key` }
    kept = keepCertificate(linked, log)
    const next = await files.authority.issue(SERVER_NAMES)
    await files.swapTo('two', next)
    vi.advanceTimersByTime(NOTICED_MS)
    expect(kept.current().cert).toBe(next.certificate.trim())
  })

  test.for([
    ['the key of another certificate', 'INTERNAL_TLS_KEY_FILE'],
    ['a half-written file', 'INTERNAL_TLS_CERT_FILE'],
    ['an empty file', 'INTERNAL_TLS_CERT_FILE'],
  ] as const)('%s leaves the old one in use, with a finding', async ([what, setting]) => {
    await writeFile(files.certFile, (await makers[what]?.()) ?? '')
    vi.advanceTimersByTime(NOTICED_MS)
    expect(kept.current().cert).toBe(files.issued.certificate.trim())
    expect([events(), codes()]).toEqual([['tls_not_reloaded'], ['internal_tls']])
    expect(lines.flatMap(parseLine)[0]?.['reason']).toMatch(new RegExp(`^${setting}: `))
    await writeFile(files.certFile, files.issued.certificate)
    vi.advanceTimersByTime(NOTICED_MS)
    expect([events(), codes()]).toEqual([['tls_not_reloaded'], []])
  })

  test('one that has expired leaves the old one in use', async () => {
    const { certificate, privateKey } = await files.authority.issue(SERVER_NAMES, -DAY_MS)
    await files.write(certificate, privateKey)
    vi.advanceTimersByTime(NOTICED_MS)
    expect(kept.current().cert).toBe(files.issued.certificate.trim())
    expect(kept.findings()[0]?.message).toMatch(/has expired/)
  })

  test('a certificate that comes before its key is taken together with it', async () => {
    const next = await files.authority.issue(SERVER_NAMES)
    await writeFile(files.certFile, next.certificate)
    vi.advanceTimersByTime(5000)
    expect(kept.current().cert).toBe(files.issued.certificate.trim())
    await writeFile(files.keyFile, next.privateKey)
    vi.advanceTimersByTime(5000)
    expect([kept.current().key, codes()]).toEqual([next.privateKey.trim(), []])
  })

  test.for([
    [1, 0.2],
    [90, 14],
  ] as const)('of %d days the last %d are a finding', async ([days, lastDays]) => {
    const issued = await files.authority.issue(SERVER_NAMES, days * DAY_MS)
    await files.write(issued.certificate, issued.privateKey)
    vi.advanceTimersByTime(5000)
    expect(codes()).toEqual([])
    vi.setSystemTime(Date.now() + (days - lastDays - 0.1) * DAY_MS)
    vi.advanceTimersByTime(NOTICED_MS)
    expect(codes()).toEqual([])
    vi.setSystemTime(Date.now() + 0.2 * DAY_MS)
    vi.advanceTimersByTime(NOTICED_MS)
    expect(codes()).toEqual(['internal_tls_expiry'])
    expect(events().filter((event) => event === 'tls_expires')).toHaveLength(1)
  })
})

afterEach(() => void vi.useRealTimers())

test('C63: the listener shows the new certificate, /health the finding, and open connections go on', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  using files = await makeTlsFiles()
  await using vestibule = await startVestibule(files.settings)
  await using before = await openHttp2(vestibule.internalPort)
  const shown = async () => {
    const options = { port: vestibule.internalPort, host: '127.0.0.1', rejectUnauthorized: false }
    const socket = connectTls(options)
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  const [old, next] = [await shown(), await files.authority.issue(SERVER_NAMES)]
  await files.write(next.certificate, next.privateKey)
  vi.advanceTimersByTime(NOTICED_MS)
  await expect.poll(() => countEvents(vestibule, 'tls_reloaded')).toBe(1)
  expect(await shown()).not.toBe(old)
  expect((await before.ask('/livez')).status).toBe(200)
  await writeFile(files.keyFile, 'nonsense')
  vi.advanceTimersByTime(NOTICED_MS)
  await expect.poll(() => countEvents(vestibule, 'tls_not_reloaded')).toBe(1)
  const { body } = await vestibule.internal('/health')
  expect(JSON.parse(body)).toMatchObject({ status: 'degraded' })
  expect(body).toContain('"internal_tls"')
  expect((await vestibule.check()).status).toBe(302)
})

test('C63: clients of an authority that is replaced lose their connections and their access', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  using files = await makeTlsFiles()
  await using vestibule = await startVestibule(files.mutual)
  const old = files.clientWith(await files.authority.issue(['traefik']))
  const nextAuthority = await createAuthority('Another authority')
  const next = files.clientWith(await nextAuthority.issue(['traefik']))
  await using kept = await openHttp2(vestibule.internalPort, old)
  const asked = `GET /auth HTTP/1.1\r\nHost: v\r\n\r\n`
  const options = { ...old, port: vestibule.internalPort, host: '127.0.0.1' }
  const idle = connectTls({ ...options, rejectUnauthorized: false })
  idle.on('error', () => undefined).write(asked)
  await once(idle, 'data')
  const busy = connectTls({ ...options, rejectUnauthorized: false })
  let answers = ''
  busy.on('error', () => undefined).on('data', (chunk) => void (answers += String(chunk)))
  busy.write(asked)
  await expect.poll(() => answers).toMatch(/^HTTP/)
  answers = ''
  // A connection in the middle of a request is not idle.
  busy.write(asked.slice(0, -2))
  expect((await kept.ask('/auth', HEADERS)).status).toBe(401)
  await writeFile(files.caFile, nextAuthority.certificate)
  vi.advanceTimersByTime(NOTICED_MS)
  idle.resume()
  await expect.poll(() => countEvents(vestibule, 'tls_reloaded')).toBe(1)
  busy.write('\r\n')
  await expect.poll(() => [busy.destroyed, answers]).toEqual([true, ''])
  // Sooner than idle connections end by themselves.
  await expect.poll(() => [kept.session.destroyed, idle.destroyed]).toEqual([true, true])
  const statusWith = async (certificate: typeof old) => {
    await using client = await openHttp2(vestibule.internalPort, certificate)
    return (await client.ask('/auth', HEADERS)).status
  }
  expect([await statusWith(old), await statusWith(next)]).toEqual([403, 401])
})
