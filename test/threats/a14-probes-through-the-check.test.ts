import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { useParty } from '../support/used-party.ts'
import { createVisitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()
const cookie = prepared(() => party.vestibule.signIn('alice'))

const agents = [
  ...words`
    GoogleHC/1.0 kube-probe/1.30 kube-probe/ ELB-HealthChecker/2.0 Prometheus/3.0.0
    Amazon-Route53-Health-Check-Service Blackbox\x20Exporter/0.25 Envoy/HC Traefik
    Go-http-client/1.1 curl/8.0 Googlebot/2.1
  `,
  '',
]
const paths = '/healthz /livez /readyz /startupz /health /metrics /ping /auth /-/healthy'.split(' ')

describe('A14 probes that come through the check', () => {
  test.for(agents)('are asked to sign in like everybody: %s', async (agent) => {
    for (const uri of ['/', ...paths]) {
      const headers = { 'User-Agent': agent }
      expectLogin(await party.check({ uri }, headers), `https://app.example.com${uri}`)
      const probe = {
        ...headers,
        Accept: '*/*',
        'Sec-Fetch-Mode': undefined,
        'Sec-Fetch-Dest': undefined,
      }
      expectRefusal(await party.check({ uri }, probe), 401)
      expectRefusal(await party.check({ uri, method: 'OPTIONS' }, probe), 401)
    }
  })

  test('with a session these are paths of the app', async () => {
    for (const uri of paths) {
      const visit = await party.check(
        { uri },
        { Cookie: cookie(), 'User-Agent': 'kube-probe/1.30' },
      )
      expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
    }
  })

  test('the probes of the internal listener go by the real path alone', async () => {
    const forwarded = {
      'X-Forwarded-Method': 'DELETE',
      'X-Forwarded-Uri': '/auth',
      'X-Forwarded-Host': 'evil.example',
      'User-Agent': 'Mozilla/5.0',
    }
    const { internalPort, publicPort } = party.vestibule
    const ask = (port: number, path: string) =>
      createVisitor().get(`http://127.0.0.1:${port}${path}`, { headers: forwarded })
    for (const path of ['/livez', '/readyz', '/startupz']) {
      const visit = await ask(internalPort, path)
      expect([visit.status, visit.body]).toEqual([200, 'ok\n'])
    }
    const health = await ask(publicPort, '/healthz')
    expect([health.status, health.body]).toEqual([200, 'ok\n'])
    expect((await ask(internalPort, '/healthz')).status).toBe(404)
  })
})
