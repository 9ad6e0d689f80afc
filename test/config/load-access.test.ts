import { expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { loadAccess } from '../../src/config/load-access.ts'
import { confidential, settingsIn, useFolder } from '../support/configuration.ts'

const { write } = useFolder()

const RULES = `
protectedHosts: [app.example.com, other.example.com]
policies: { office: { networks: [192.0.2.0/24] } }
rules: [{ paths: [/a/**], access: signed-in, policy: office, allow: { claims: { dept: [it] } } }]
`
const withFile = async (yaml: string, changes: Environment = {}): Promise<Environment> => ({
  ALLOW_ANY_USER: 'true',
  VESTIBULE_CONFIG: await write(yaml),
  ...changes,
})

test('the rules, hosts and claims are those of the service', async () => {
  const environment = await withFile(RULES, { PUBLIC_PATHS: '/public/**' })
  const access = loadAccess(environment)
  const { PROTECTED_HOSTS: _of_file, ...others } = confidential
  const { rules } = loadConfig({ ...others, ...environment })
  expect(access.rules.fingerprint).toBe(rules.fingerprint)
  expect(access.rules.rules.map(({ name }) => name)).toEqual(rules.rules.map(({ name }) => name))
  expect(access.rules.claims).toEqual(['dept'])
  expect(access.protectedSites.find('other.example.com')?.origin).toBe('https://other.example.com')
})

test('a list may be in a file of its own', async () => {
  const file = await write('admins\nstaff\n')
  const environment = { PROTECTED_HOSTS: 'app.example.com', ALLOWED_GROUPS_FILE: file }
  expect(loadAccess(environment).settings.ALLOWED_GROUPS).toEqual(['admins', 'staff'])
})

test.for<readonly [settings: string, yaml: string, problems: readonly RegExp[]]>([
  ['PROTECTED_HOSTS=app.example.com ALLOW_ANY_USER=', '', [/^Nobody may enter: /]],
  ['ALLOW_ANY_USER=perhaps', '', [/^ALLOW_ANY_USER: /, /^PROTECTED_HOSTS: is empty/]],
  ['PROTECTED_HOSTS=*.com BASE_PATH=x', '', [/^BASE_PATH: /, /^PROTECTED_HOSTS: \*\.com covers/]],
  ['PROTECTED_HOSTS=http://app.example.com', '', [/^PROTECTED_HOSTS: .* http is for loopback/]],
  ['PROTECTED_HOSTS=a.example OIDC_CLIENT_ID=x REDIS_URL=nonsense', 'oidc: { x: 1 }', [/oidc: /]],
  ['ALLOW_ANY_USER=true', 'oidc: { x: 1 }', [/oidc: /]],
  ['PROTECTED_HOSTS=a.example TRUSTED_PROXIES=x,y', '', [/^TRUSTED_PROXIES: x is not .*; y is/]],
])('%s %s: every problem of access and no other', async ([settings, yaml, problems]) => {
  const environment = await withFile(yaml, settingsIn(settings))
  const found = (() => {
    try {
      return loadAccess(environment) && []
    } catch (error) {
      return (error as ConfigError).problems
    }
  })()
  expect(found).toEqual(problems.map((problem) => expect.stringMatching(problem) as string))
})
