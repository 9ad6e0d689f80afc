import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { base, problemsWith, settingsIn } from '../support/configuration.ts'
import { rows, words } from '../support/words.ts'

const proxiesOf = (settings: Environment) => loadConfig({ ...base, ...settings }).proxies

describe('C30: the settings of proxies', () => {
  test.for([
    ['HTTPS_PROXY=http://proxy.example.com:3128', { https: 'http://proxy.example.com:3128/' }],
    ['HTTPS_PROXY=https://proxy.example.com', { https: 'https://proxy.example.com/' }],
    ['HTTP_PROXY=proxy.example.com:3128', { http: 'http://proxy.example.com:3128/' }],
    ['HTTP_PROXY=http://u:p%40@[::1]:3128/', { http: 'http://u:p%40@[::1]:3128/' }],
    ['https_proxy=http://low HTTPS_PROXY=http://up', { https: 'http://low/' }],
    ['http_proxy=http://low HTTPS_PROXY=', { http: 'http://low/' }],
    ['HTTP_PROXY=http://a HTTPS_PROXY=http://b', { http: 'http://a/', https: 'http://b/' }],
  ] as const)('C30: %s is understood', ([text, expected]) => {
    const settings = settingsIn(text)
    const { isBypassed, ...proxies } = proxiesOf(settings) ?? {}
    expect([proxies, isBypassed?.('id.example.com', 443)]).toEqual([expected, false])
  })

  test('C30: without a proxy there is none, whatever NO_PROXY says', () => {
    expect(proxiesOf({ NO_PROXY: '10.0.0.0/33,.' })).toBeUndefined()
  })

  test.for(words`10.0.0.0/33 ::1/129 id.example.com/path . *.,.`)(
    'C30: the exception %s is a problem with a remedy',
    (exception) => {
      expect(problemsWith({ HTTPS_PROXY: 'http://proxy', NO_PROXY: exception })).toEqual([
        expect.stringMatching(/^NO_PROXY: .*; write hosts, domains, addresses or networks such as/),
      ])
    },
  )

  const hosts = 'https://id.example.com https://10.1.2.3 https://[fd00::7] http://keycloak:8080'
  test.for<[exceptions: string, direct: string]>([
    ['', ''],
    ['*', hosts],
    ...rows`example.com .example.com *.example.com EXAMPLE.com id.example.com. a,,id.example.com
      x\x20id.example.com .id.example.com id.example.com:443 example.com:443`(
      'https://id.example.com',
    ),
    ...rows`ple.com id.example.com:8443 d.example.com 10.1.2 10.1.2.128/25,x
      fd00::8 keycloak:80 10.1.2.4-10.1.2.9`(''),
    ...rows`10.1.2.3 10.0.0.0/8 10.1.2.3:443 10.1.2.1-10.1.2.3`('https://10.1.2.3'),
    ...rows`fd00::7 [fd00::7] fd00::/8 [fd00::7]:443`('https://[fd00::7]'),
    ...rows`keycloak keycloak:8080 .svc,keycloak`('http://keycloak:8080'),
  ])('C30: NO_PROXY=%s asks directly: %s', ([exceptions, direct]) => {
    const proxies = proxiesOf({ HTTPS_PROXY: 'http://proxy', NO_PROXY: exceptions })
    const asked = hosts.split(' ').filter((host) => {
      const { hostname, port, protocol } = new URL(host)
      return proxies?.isBypassed(hostname, Number(port || (protocol === 'https:' ? 443 : 80)))
    })
    expect(asked.join(' ')).toBe(direct)
  })
})
