import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkConfig } from '../../src/commands/check-config.ts'
import { runCommand } from '../support/command.ts'
import { FILE_ALONE, useMigration } from '../support/migration.ts'
import { EXAMPLES, PEOPLE, SECRETS } from '../support/migrations/traefik.ts'
import { startTestProvider, type TestProvider } from '../support/provider.ts'
import { startVestibule } from '../support/vestibule.ts'

const services = {
  'traefik-forward-auth': useMigration('traefik-forward-auth'),
  traefikoidc: useMigration('traefikoidc'),
}

let provider: TestProvider
beforeAll(async () => {
  const origins = ['https://app.example.com', 'https://auth.example.com']
  provider = await startTestProvider({ origins, users: PEOPLE })
})
afterAll(() => provider.close())

test.for(EXAMPLES)('carries over $name', async (example) => {
  const { run, write } = services[example.service]
  const { issuer, clientId, clientSecret } = provider
  const input = await example.input({ issuer, clientId, clientSecret, write })
  const { code, output, out, told, read } = await run(input)
  expect(output).toBe(`${out}: written; read MIGRATION.md there before the start\n`)
  expect(code).toBe(0)
  for (const secret of [...SECRETS, clientSecret]) expect(told()).not.toContain(secret)
  const page = read('MIGRATION.md')
  for (const option of example.options) expect(page).toContain(`* \`${option}\`: `)

  const environment = { VESTIBULE_CONFIG: `${out}/vestibule.yaml` }
  expect(await runCommand(() => checkConfig(environment))).toMatchObject({ code: 0 })
  await using vestibule = await startVestibule({ ...FILE_ALONE, ...environment })
  const cookies = new Map<string, string>()
  for (const { sub } of PEOPLE) cookies.set(sub, await vestibule.signIn(sub, example.host))

  for (const { passes, refused = [], ...asked } of example.pages) {
    const isOpen = passes === 'everybody' && refused.length === 0
    const stranger = await vestibule.check(asked)
    expect([asked, stranger.status === 200]).toEqual([asked, isOpen])
    for (const [sub, cookie] of cookies) {
      const isIn = (passes === 'everybody' || passes.includes(sub)) && !refused.includes(sub)
      const { status } = await vestibule.check(asked, { Cookie: cookie })
      expect([asked, sub, status]).toEqual([asked, sub, isIn ? 200 : 403])
    }
  }
  const { headers } = await vestibule.check({}, { Cookie: cookies.get('ann') })
  for (const [name, value] of Object.entries(example.headers))
    expect([name, headers[name]]).toEqual([name, expect.stringContaining(value)])
})
