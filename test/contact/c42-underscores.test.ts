import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { traefikFile } from '../../src/render/traefik.ts'
import { expectRefusal } from '../support/refusal.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { writeRules } from '../support/rules-file.ts'
import { usePartyOf } from '../support/used-party.ts'
import { defaultSettings } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const HOME = 'https://auth_1.my_team.example.com'
const HOSTS = ['app_.my_team.example.com', '_b.my_team.example.com']
const settings = {
  PUBLIC_URL: HOME,
  COOKIE_DOMAIN: 'my_team.example.com',
  PROTECTED_HOSTS: `${HOSTS[0]},*.my_team.example.com`,
}

const party = usePartyOf(async () => {
  await using rules = await writeRules([
    { hosts: ['_b.my_team.example.com'], paths: ['/closed'], access: 'deny' },
    { hosts: ['*.my_team.example.com'], access: 'signed-in' },
  ])
  const given = { ...settings, VESTIBULE_CONFIG: rules.path }
  return await startRelyingParty(given, { origins: [HOME] })
})

test.for(HOSTS)('C42: a person signs in at %s and comes back', async (host) => {
  const browser = party.visitor([host, new URL(HOME).host])
  const asked = await party.check({ host, uri: '/a?b' })
  expect(asked.location).toContain(`${HOME}/oauth2/login?rd=`)
  await browser.signIn(asked.location ?? '', 'alice').catch(() => undefined)
  expect(browser.trail.at(-1)?.url).toBe(`https://${host}/a?b`)
  const Cookie = browser.cookies.header(new URL(`https://${host}/`))
  expect((await party.check({ host }, { Cookie })).status).toBe(200)
  const closed = await party.check({ host, uri: '/closed' }, { Cookie })
  expect(closed.status).toBe(host.startsWith('_b') ? 403 : 200)
})

test.for(words`
  my_team.example.com appmy_team.example.com app_.my-team.example.com app_.my_team.example.com.evil.test
  _.example.com app_..my_team.example.com
`)('C42: the host %s is still foreign', async (host) =>
  expectRefusal(await party.check({ host }), 400),
)

test('C42: the configuration for Traefik names such hosts', () => {
  const file = traefikFile(loadConfig({ ...defaultSettings, ...settings }), 'vestibule')
  expect(file).toContain('Host(`auth_1.my_team.example.com`)')
  expect(file).toContain('^.+\\.my_team\\.example\\.com$')
})
