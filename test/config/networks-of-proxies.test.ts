import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { isCovered, parseNetwork } from '../../src/config/networks.ts'
import { describeNotice } from '../../src/config/notices.ts'
import { useSettingsFile } from '../support/configuration.ts'
import { rows } from '../support/words.ts'

const { withFile } = useSettingsFile()

const PRIVATE = { TRUSTED_PROXIES: '10.0.0.0/8,192.0.2.7,fd00::/8' }

test.for([
  ...rows`::/0>10.0.0.0/8 ::/64>10.0.0.0/8 ::ffff:0:0/96>10.0.0.0/8 10.0.0.0/8>::ffff:10.0.0.0/104
    10.0.0.0/8>::ffff:10.1.0.0/112 ::/0>::/0`(true),
  ...rows`0.0.0.0/0>::/0 10.0.0.0/8>::ffff:0:0/96 10.0.0.0/8>::/104 2001:db8::/32>10.0.0.0/8`(
    false,
  ),
])('trusted>network %s: %s', ([row, expected]) => {
  const [trusted, network] = row.split('>').map((each) => parseNetwork(each))
  expect(network && trusted && isCovered(network, [trusted])).toBe(expected)
})

test.for([
  ...rows`10.0.0.0/8 10.1.0.0/16 10.9.9.9 192.0.2.7 192.0.2.7/32 ::ffff:10.1.0.0/112 fd12::/64`(
    true,
  ),
  ...rows`10.0.0.0/7 192.0.2.0/24 192.0.2.8 fc00::/7 2001:db8::1 ::/0 0.0.0.0/0`(false),
])('that no client has an address in %s is noticed: %s', async ([network, expected]) => {
  const file = `policies: { office: { any: [{ networks: ["${network}", 198.51.100.7, "${network}"] }] } }
rules: [{ access: signed-in, name: b, policy: office, allow: { networks: ["${network}"] } }]`
  const texts = loadConfig(await withFile(file, PRIVATE)).notices.map(describeNotice)
  const told = (place: string) =>
    `${place}: no client has an address in ${network}, because TRUSTED_PROXIES holds all of it: name only the proxies there`
  expect(texts).toEqual(expected ? [told('policy office'), told('rule b')] : [])
})
