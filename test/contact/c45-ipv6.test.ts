import { expect, test } from 'vitest'
import { healthcheck } from '../../src/commands/healthcheck.ts'
import { startVestibule } from '../support/vestibule.ts'
import { FORWARDED } from '../support/wire-requests.ts'

async function statusOf(url: string): Promise<number> {
  return (await fetch(url, { headers: FORWARDED })).status
}

test.for([
  ['by default', ''],
  ['at ::', '::'],
])('C45: %s the service answers over IPv6 and IPv4', async ([, HOST = '']) => {
  await using vestibule = await startVestibule({ HOST })
  for (const host of ['[::1]', '127.0.0.1']) {
    const origin = `http://${host}:${vestibule.internalPort}`
    expect(await statusOf(`${origin}/livez`)).toBe(200)
    expect(await statusOf(`${origin}/auth`)).toBe(401)
  }
  const environment = { HOST, INTERNAL_PORT: String(vestibule.internalPort) }
  expect(await healthcheck(environment)).toBe(0)
  expect(vestibule.log().filter(({ event }) => event === 'host_fallback')).toEqual([])
})

test.for([
  ['::1', '[::1]'],
  ['[::1]', '[::1]'],
  ['0.0.0.0', '127.0.0.1'],
])('C45: with HOST=%s its own command finds it', async ([HOST = '', host]) => {
  await using vestibule = await startVestibule({ HOST })
  const { internalPort } = vestibule
  expect(await statusOf(`http://${host}:${internalPort}/readyz`)).toBe(200)
  expect(await healthcheck({ HOST, INTERNAL_PORT: String(internalPort) })).toBe(0)
})

test.for(['no-such-host.invalid', '203.0.113.1'])(
  'C45: an address that is none of this machine ends the start with the setting: %s',
  (HOST) =>
    expect(startVestibule({ HOST })).rejects.toThrow(/set HOST to an address of this machine/),
)

test('C45: an IPv4 peer of a socket for both families is known by its IPv4 address', async () => {
  await using vestibule = await startVestibule({ HOST: '::', TRUSTED_PROXIES: '192.0.2.0/24' })
  expect((await vestibule.check()).status).toBe(403)
  expect(vestibule.log().find(({ event }) => event === 'refused')).toMatchObject({
    peer: '127.0.0.1',
  })
})

/** Makes this process fail to open sockets for IPv6, as on a machine whose kernel has none. */
function withoutIpv6(): () => void {
  const bind = Reflect.get(process, 'binding') as (name: 'tcp_wrap') => {
    readonly TCP: { readonly prototype: { bind6: () => number } }
  }
  const { prototype } = bind.call(process, 'tcp_wrap').TCP
  const original = prototype.bind6
  const EAFNOSUPPORT = -97
  prototype.bind6 = () => EAFNOSUPPORT
  return () => {
    prototype.bind6 = original
  }
}

test('C45: a machine without IPv6 is served over IPv4, which is logged, unless HOST says ::', async () => {
  const restore = withoutIpv6()
  try {
    await using vestibule = await startVestibule({ HOST: '' })
    expect((await vestibule.check()).status).toBe(302)
    const { publicPort, internalPort } = vestibule
    const lines = vestibule.log().filter(({ event }) => event === 'host_fallback')
    expect(lines.map(({ port }) => port)).toEqual([publicPort, internalPort])
    await expect(startVestibule({ HOST: '::' })).rejects.toThrow('EAFNOSUPPORT')
  } finally {
    restore()
  }
})
