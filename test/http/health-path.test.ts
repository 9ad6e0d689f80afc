import { afterAll, expect, test } from 'vitest'
import { HEALTH_PATH } from '../../src/http/health-path.ts'
import { startVestibule } from '../support/vestibule.ts'
import { sendLines } from '../support/wire-requests.ts'

const vestibule = await startVestibule()
afterAll(vestibule.stop)

/** Sends the lines of a request for a path of the public listener, by default those of HTTP/1.1. */
const ask = (method: string, path: string, lines: readonly string[], version = '1.1') =>
  sendLines(vestibule.publicPort, `${method} ${path} HTTP/${version}`, ...lines)

const HOSTS: readonly (readonly [string, string])[] = [
  ['the host of an app', 'app.example.com'],
  ['an unknown host', 'other.example'],
  ['the address of the instance', '10.0.0.5:4180'],
  ['an IPv6 address', '[fd00::5]:4180'],
  ['nothing', ''],
  ['a blank', 'a b'],
  ['a path', 'a/b'],
  ['a user', 'a@b'],
  ['a port that there is not', 'a:99999'],
  ['letters beyond ASCII', '\u00e9.example'],
  ['40 KB', 'a'.repeat(40_000)],
]

test.for(HOSTS)('answers 200 to a balancer whose Host is %s', async ([, host]) => {
  for (const version of ['1.1', '1.0']) {
    const answer = await ask('GET', HEALTH_PATH, [`Host: ${host}`], version)
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('ok\n')
    expect((await ask('HEAD', HEALTH_PATH, [`Host: ${host}`], version)).status).toBe(200)
  }
  expect(vestibule.log().filter(({ event }) => event === 'refused')).toEqual([])
})

test('answers 200 over HTTP/1.0 without Host', async () => {
  for (const method of ['GET', 'HEAD'])
    expect((await ask(method, HEALTH_PATH, [], '1.0')).status).toBe(200)
})

test.for([
  ['HTTP/1.1 without Host', HEALTH_PATH, [], '1.1', 400],
  ['70 KB of Host', HEALTH_PATH, [`Host: ${'a'.repeat(70_000)}`], '1.1', 431],
  ['another path without Host', '/oauth2/me', [], '1.0', 400],
  ['another path with an unknown Host', '/oauth2/me', ['Host: other.example'], '1.1', 400],
  ['a longer path without Host', `${HEALTH_PATH}/`, [], '1.0', 400],
  ['a path of the app', '/', ['Host: app.example.com'], '1.1', 404],
] as const)('does not loosen %s', async ([, path, lines, version, status]) => {
  expect((await ask('GET', path, lines, version)).status).toBe(status)
})
