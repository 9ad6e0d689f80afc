import { spawnSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { certificates } from '../../src/commands/certificates/certificates.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { runCommand } from '../support/command.ts'
import { words } from '../support/words.ts'

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const OWN = 'DNS:vestibule, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1'
const FILES = ['ca.crt', 'ca.key', 'tls.crt', 'tls.key']

let parent: string
let folder: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'vestibule-certificates-'))
  folder = join(parent, 'new')
})
afterEach(() => rm(parent, { recursive: true }))

const run = (...args: string[]) => runCommand(() => certificates({}, folder, ...args))
const made = async (...args: string[]) => expect(await run(...args)).toMatchObject({ code: 0 })
const text = (name: string) => readFileSync(join(folder, name), 'utf8')
const certificateOf = (base: string) => new X509Certificate(text(`${base}.crt`))
const modeOf = (name = '') => statSync(join(folder, name)).mode & 0o777
const contents = () => readdirSync(folder).map((name) => [name, text(name)])
const daysOf = ({ validToDate }: X509Certificate) =>
  Math.round((validToDate.getTime() - Date.now()) / 86_400_000)
const expectPair = (base: string) =>
  expect(certificateOf(base).checkPrivateKey(createPrivateKey(text(`${base}.key`)))).toBe(true)

test('makes an authority and a certificate for both ends of a connection, with keys that nobody else reads', async () => {
  const { code, output } = await run('--name=vestibule.shop.svc.', '--name', 'bücher.example')
  expect(code).toBe(0)
  expect(readdirSync(folder).toSorted()).toEqual(FILES)
  expect([modeOf(), modeOf('ca.key'), modeOf('tls.key')]).toEqual([0o700, 0o600, 0o600])
  expect(output).toContain(`INTERNAL_TLS_CERT_FILE=${folder}/tls.crt\n`)
  expect(output).not.toContain('PRIVATE')

  const [authority, server] = [certificateOf('ca'), certificateOf('tls')]
  expect([authority.ca, server.ca]).toEqual([true, false])
  expect(authority.verify(authority.publicKey)).toBe(true)
  expect(server.checkIssued(authority) && server.verify(authority.publicKey)).toBe(true)
  expect(server.keyUsage).toEqual([SERVER_AUTH, CLIENT_AUTH])
  const further = 'DNS:vestibule.shop.svc, DNS:xn--bcher-kva.example'
  expect(server.subjectAltName).toBe(`${OWN}, ${further}`)
  expect(server.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  expect([daysOf(authority), daysOf(server)]).toEqual([3650, 397])
  for (const { serialNumber } of [authority, server])
    expect(serialNumber).toMatch(/^[4-7][\dA-F]{31}$/)
  expectPair('tls')
  expectPair('ca')
})

test('its certificate is accepted at both ends of a connection', async () => {
  await made()
  const [ca, cert, key] = ['ca.crt', 'tls.crt', 'tls.key'].map(text)
  const seen: boolean[] = []
  const server = createServer({ ca, cert, key, requestCert: true }, (socket) => {
    seen.push(socket.authorized)
    socket.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = connect({ host: '127.0.0.1', port, servername: 'vestibule', ca, cert, key })
  await new Promise((resolve, reject) => client.once('close', resolve).once('error', reject))
  expect(seen).toEqual([true])
  await new Promise((resolve) => server.close(resolve))
})

test('renewal keeps authority, names, owner and rights, and takes a new key', async () => {
  await made('--name=fd00::0001')
  chmodSync(join(folder, 'tls.key'), 0o640)
  const before = Object.fromEntries(contents()) as Record<string, string>
  await made('--renew', '--name=extra', '--name=fd00:0::1', '--days=30')
  expect(readdirSync(folder).toSorted()).toEqual(FILES)
  for (const name of ['ca.crt', 'ca.key']) expect(text(name)).toBe(before[name])
  for (const name of ['tls.crt', 'tls.key']) expect(text(name)).not.toBe(before[name])
  const renewed = certificateOf('tls')
  expect(renewed.subjectAltName).toBe(`${OWN}, IP Address:FD00:0:0:0:0:0:0:1, DNS:extra`)
  expect(daysOf(renewed)).toBe(30)
  expect([modeOf('tls.key'), modeOf('tls.crt')]).toEqual([0o640, 0o644])
  expectPair('tls')
  await rm(join(folder, 'tls.crt'))
  await made('--renew')
  expect(certificateOf('tls').subjectAltName).toBe(OWN)
})

test('a client gets a certificate of its own, which no server can use', async () => {
  await made()
  await made('--client=traefik', '--days=3650')
  const client = certificateOf('traefik')
  expect([client.keyUsage, client.subjectAltName]).toEqual([[CLIENT_AUTH], 'DNS:traefik'])
  expect(client.verify(certificateOf('ca').publicKey)).toBe(true)
  expect(client.validTo).toBe(certificateOf('ca').validTo)
  expect(modeOf('traefik.key')).toBe(0o600)
  expect((await run('--client=traefik')).code).toBe(1)
  await made('--client=traefik', '--renew')
  expect(certificateOf('traefik').serialNumber).not.toBe(client.serialNumber)
})

test.for([
  [[], /has ca\.crt, ca\.key, tls\.crt, tls\.key: no file is overwritten; --renew makes /],
  [['tls.crt', 'tls.key', 'ca.key'], /has ca\.crt: no file is overwritten\n/],
] as const)('overwrites nothing where there is something but %j', async ([gone, told]) => {
  await made()
  for (const name of gone) await rm(join(folder, name))
  const before = contents()
  const { code, output } = await run()
  expect(code).toBe(1)
  expect(output).toMatch(told)
  expect(contents()).toEqual(before)
})

const foreign = createAuthority()
test.for<[string, () => Promise<unknown>, RegExp]>([
  ['no folder', () => rm(folder, { recursive: true }), /new does not exist/],
  ['no key of the authority', () => rm(join(folder, 'ca.key')), /new has no ca\.key: there is no/],
  [
    'the key of another authority',
    async () => writeFile(join(folder, 'ca.key'), text('tls.key')),
    /ca\.key is not the key of ca\.crt/,
  ],
  [
    'a server in the place of the authority',
    async () => {
      for (const end of ['crt', 'key'])
        await writeFile(join(folder, `ca.${end}`), text(`tls.${end}`))
    },
    /ca\.crt is not the certificate of an authority/,
  ],
  ['no PEM text', () => writeFile(join(folder, 'ca.crt'), 'x'), /ca\.crt is not a certificate/],
  ['a key that is none', () => writeFile(join(folder, 'ca.key'), 'x'), /ca\.key is not an ECDSA/],
  [
    'an earlier file that is none',
    () => writeFile(join(folder, 'tls.crt'), 'x'),
    /tls\.crt is not/,
  ],
  [
    'the certificate of another authority',
    async () => writeFile(join(folder, 'ca.crt'), (await foreign).certificate),
    /ca\.key is not the key of ca\.crt/,
  ],
])('renews nothing with %s', async ([, spoil, told]) => {
  await made()
  await spoil()
  const before = existsSync(folder) && contents()
  const { code, output } = await run('--renew')
  expect({ code, output }).toEqual({ code: 1, output: expect.stringMatching(told) as string })
  expect(existsSync(folder) && contents()).toEqual(before)
})

test('leaves nothing half made where a file cannot be written', async () => {
  await made()
  for (const name of FILES) await rm(join(folder, name))
  symlinkSync('/nowhere/at/all', join(folder, 'tls.crt'))
  await expect(run()).rejects.toThrow(/EEXIST.*tls\.crt/)
  expect(readdirSync(folder)).toEqual(['tls.crt'])
})

test('leaves no part of a file where the disk is full', async () => {
  // 512 bytes take a key, but no certificate.
  const limited = 'ulimit -f 1; exec "$0" src/main.ts certificates "$1"'
  const { status, stderr } = spawnSync('sh', ['-c', limited, process.execPath, folder])
  expect([status, String(stderr)]).toEqual([1, expect.stringMatching(/^vestibule: EFBIG/)])
  expect(readdirSync(folder)).toEqual([])
})

test('leaves nothing beside a file that cannot be replaced', async () => {
  await made()
  await rm(join(folder, 'tls.key'))
  mkdirSync(join(folder, 'tls.key'))
  await expect(run('--renew')).rejects.toThrow(/EISDIR/)
  expect(readdirSync(folder).toSorted()).toEqual(FILES)
})

test('of runs at the same time one changes the folder, and one that was killed blocks none for ever', async () => {
  const runs = await runCommand(async () => {
    const codes = await Promise.all([0, 1, 2].map(() => certificates({}, folder)))
    return codes.reduce((failed, code) => failed + code, 0)
  })
  expect(runs.code).toBe(2)
  expect(runs.output).toContain(`another run is changing ${folder}: try again in a minute`)
  expectPair('tls')
  const lock = join(folder, '.vestibule-certificates.lock')
  await writeFile(lock, '1')
  expect((await run('--renew')).code).toBe(1)
  // Ahead of the clock when it was set back.
  for (const ageSeconds of [3600, -3600]) {
    const since = Date.now() / 1000 - ageSeconds
    await writeFile(lock, '1')
    await utimes(lock, since, since)
    await writeFile(join(folder, '.vestibule-certificates.new.tls.key'), 'half a key')
    await made('--renew')
  }
  expect(readdirSync(folder).toSorted()).toEqual(FILES)
})

test('a path that is a file is refused', async () => {
  await writeFile(folder, 'x')
  expect(await run()).toEqual({ code: 1, output: `vestibule: ${folder} is not a folder\n` })
})

const UNUSABLE_NAMES = [
  words`\x20 a\x20b *.svc a:4181 http://a a/b a,b -a a..b . 127.1 fe80::1%eth0 [::1] 10.0.0.0/8 a\n \u202ea`,
  ['', `${'a'.repeat(64)}.b`, `${'a.'.repeat(130)}b`],
].flat()
test.for<string[]>([
  ...UNUSABLE_NAMES.map((name) => ['--name', name]),
  ...words`0 -1 1.5 3651 1e3 x 00397`.map((days) => [`--days=${days}`]),
  ...words`ca tls ../x a/b A a.b -a a-`.map((name) => [`--client=${name}`]),
  ['--days='],
  ['--client='],
  ['--client=x', '--name=a'],
  ['again'],
  ['--names=a'],
  ['--renew=yes'],
  ['--days'],
])('%j is a usage error that makes nothing', async (args) => {
  const { code, output } = await run(...args)
  expect(code).toBe(2)
  expect(output).toMatch(/^usage: vestibule certificates DIR /)
  expect(existsSync(folder)).toBe(false)
})
