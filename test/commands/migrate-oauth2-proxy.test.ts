import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkConfig } from '../../src/commands/check-config.ts'
import { runCommand } from '../support/command.ts'
import { FILE_ALONE, useMigration } from '../support/migration.ts'
import { EXAMPLES, PEOPLE, type Places, SECRETS } from '../support/migrations/oauth2-proxy.ts'
import { startTestProvider, type TestProvider } from '../support/provider.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { startVestibule } from '../support/vestibule.ts'

const { run, write } = useMigration('oauth2-proxy')
const AUTH = 'auth.example.com'
const REDIS_PASSWORD = 'redis-Passw0rd'

let provider: TestProvider
let redis: RunningRedis
beforeAll(async () => {
  const origins = ['https://app.example.com', `https://${AUTH}`]
  provider = await startTestProvider({ origins, users: PEOPLE })
  redis = await startRedis({ password: REDIS_PASSWORD })
})
afterAll(async () => {
  await provider.close()
  await redis.stop()
})

const places = async (): Promise<Places> => ({
  issuer: provider.issuer,
  clientId: provider.clientId,
  clientSecret: provider.clientSecret,
  redisPort: redis.port,
  redisPassword: REDIS_PASSWORD,
  emails: await write('emails', '# partners\ndan@example.org,x\n"DAN@example.org",\n'),
  authHost: AUTH,
})

test.for(EXAMPLES)('carries over $name', async (example) => {
  const { code, output, out, told, read } = await run(example.input(await places()))
  const wider = example.wider ? /  wider than before: [^\n]+\n/.source : ''
  expect(output).toMatch(
    new RegExp(`^${out}: written; read MIGRATION.md there before the start\n${wider}$`),
  )
  expect(code).toBe(0)
  for (const secret of [...SECRETS, provider.clientSecret, REDIS_PASSWORD])
    expect(told()).not.toContain(secret)
  for (const pattern of example.notes) expect(read('MIGRATION.md')).toMatch(pattern)

  const environment = { VESTIBULE_CONFIG: `${out}/vestibule.yaml` }
  expect(await runCommand(() => checkConfig(environment))).toMatchObject({ code: 0 })
  await using vestibule = await startVestibule({ ...FILE_ALONE, ...environment })
  const host = read('vestibule.yaml').includes('publicUrl') ? AUTH : 'app.example.com'
  const answers = new Map<string, number>()
  for (const { sub } of PEOPLE) {
    const cookie = await vestibule.signIn(sub, host)
    const { status, headers } = await vestibule.check({}, { Cookie: cookie })
    answers.set(sub, status)
    if (sub !== 'ann') continue
    for (const [name, value] of Object.entries(example.headers))
      expect(headers[name]).toEqual(expect.stringContaining(value))
  }
  const passing = new Set([...example.passes, ...(example.wider ?? [])])
  const expected = PEOPLE.map(({ sub }) => [sub, passing.has(sub) ? 200 : 403])
  expect([...answers]).toEqual(expected)

  expect((await vestibule.check()).status).toBe(302)
  if (example.openPath) expect((await vestibule.check({ uri: example.openPath })).status).toBe(200)
  if (example.isOnRedis) expect(await redis.cli('KEYS', 'vestibule:*')).toContain('vestibule:')
})
