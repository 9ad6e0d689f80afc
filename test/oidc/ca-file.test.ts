import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { startHttpProxy } from '../../stand-ins/network/http-proxy.ts'
import { type RunningProvider, startProvider } from '../../stand-ins/provider/provider.ts'
import { testClient } from '../support/vestibule.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'

describe('a provider whose certificate a private authority has signed', () => {
  let folder: string
  let provider: RunningProvider
  const front = createServer()

  beforeAll(async () => {
    const authority = await createAuthority()
    const own = await authority.issue(['localhost'])
    front.setSecureContext({ cert: own.certificate, key: own.privateKey })
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
    const { port } = front.address() as AddressInfo
    provider = await startProvider({ clients: [testClient], issuer: `https://localhost:${port}` })
    provider.provider.proxy = true
    front.on('request', (incoming, outgoing) => {
      incoming.headers['x-forwarded-proto'] = 'https'
      provider.server.emit('request', incoming, outgoing)
    })
    folder = await mkdtemp(join(tmpdir(), 'vestibule-ca-'))
    await writeFile(join(folder, 'ca.pem'), authority.certificate)
  })

  afterAll(async () => {
    front.closeAllConnections()
    front.close()
    await provider.close()
    await rm(folder, { recursive: true })
  })

  test('is trusted with OIDC_CA_FILE', async () => {
    const settings = { OIDC_ISSUER_URL: provider.issuer, OIDC_CA_FILE: join(folder, 'ca.pem') }
    await using vestibule = await startVestibuleProcess(settings)
    const answer = await vestibule.visitor().get('https://app.example.com/oauth2/login')
    expect(answer.status).toBe(302)
    expect(answer.location).toMatch(new RegExp(`^${provider.issuer}/auth\\?`))
  })

  test('is asked through the proxy that the environment names (C30)', async () => {
    await using proxy = await startHttpProxy()
    await using vestibule = await startVestibuleProcess({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CA_FILE: join(folder, 'ca.pem'),
      https_proxy: `http://127.0.0.1:${proxy.port}`,
    })
    const answer = await vestibule.visitor().get('https://app.example.com/oauth2/login')
    expect(answer.status).toBe(302)
    expect(proxy.seen).toEqual([`CONNECT ${new URL(provider.issuer).host}`])
  })

  test('is not trusted without', async () => {
    await using vestibule = await startVestibuleProcess({ OIDC_ISSUER_URL: provider.issuer })
    const answer = await vestibule.visitor().get('https://app.example.com/oauth2/login')
    expect([answer.status, answer.setCookies]).toEqual([503, []])
    const line = vestibule.log().find(({ event }) => event === 'provider_discovery_failed')
    expect(line).toHaveProperty('setting', 'OIDC_CA_FILE')
    expect(line?.['reason']).toMatch(
      /^the certificate of localhost:\d+ is signed by an authority that/,
    )
  })
})
