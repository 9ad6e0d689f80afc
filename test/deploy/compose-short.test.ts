import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { loadConfig } from '../../src/config/load.ts'
import { base, problemsOf } from '../support/configuration.ts'
import { FOLDER, filledIn, serviceOf, shortCompose } from '../support/short-compose.ts'

const EXAMPLE = `${FOLDER}/example.env`
const { services, configs } = shortCompose(['compose.yml'])

describe('the short compose.yml', () => {
  test('has five values to fill in, and few lines beside its comments', () => {
    const given = parseEnv(readFileSync(EXAMPLE, 'utf8'))
    expect(readFileSync(EXAMPLE, 'utf8').trim().split('\n')).toHaveLength(5)
    expect(new Set(Object.keys(given))).toEqual(new Set(Object.keys(filledIn)))
    const lines = readFileSync(`${FOLDER}/compose.yml`, 'utf8').split('\n')
    expect(lines.filter((line) => !/^\s*(?:#|$)/.test(line)).length).toBeLessThanOrEqual(54)
  })

  test('has settings that the service takes, and takes none that is not filled in', () => {
    const { settings, hosts, rules } = loadConfig(filledIn)
    expect(hosts.map(({ hostname }) => hostname)).toEqual([filledIn.PROTECTED_HOSTS])
    expect(settings).toMatchObject({ REDIS_ENABLED: false, OIDC_CLIENT_ID: 'vestibule' })
    expect(rules.rules.length).toBeGreaterThan(0)
    for (const name of ['PROTECTED_HOSTS', 'OIDC_ISSUER_URL', 'ALLOWED_EMAIL_DOMAINS'])
      expect(problemsOf({ ...filledIn, [name]: '' }), name).not.toEqual([])
  })

  const all = shortCompose(['compose.yml', 'redis.yml']).services
  test.for(Object.keys(all))('%s may do little, and stays the image that it is', (name) => {
    const { image = '', ...service } = serviceOf(all, name)
    expect(service).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges'] })
    expect(image).toMatch(/:v?\d+\.\d+(?:\.\d+)?(?:-alpine)?(?:@sha256:[0-9a-f]{64})?$/)
    if (image.startsWith('vestibule:')) expect(image).toBe(`vestibule:${packageJson.version}`)
    for (const volume of service.volumes ?? []) expect(volume).not.toContain('docker.sock')
    expect(service).not.toHaveProperty('labels')
  })

  test('gives the secret to Vestibule alone, and publishes Traefik alone', () => {
    const having = (key: 'env_file' | 'ports') =>
      Object.keys(services).filter((name) => serviceOf(services, name)[key] !== undefined)
    expect(having('env_file')).toEqual(['vestibule', 'setup'])
    expect(having('ports')).toEqual(['traefik'])
    expect(services['app']?.networks).toEqual(['apps'])
    expect(services['traefik']?.networks).toContain('apps')
    expect(services['vestibule']?.networks).toBe(undefined)
  })

  test('has the middlewares before the app, from what the service itself prints', () => {
    const [script = ''] = services['setup']?.command ?? []
    expect(script).toMatch(/^vestibule render traefik >\/dynamic\/new\nmv /)
    const made = { setup: { condition: 'service_completed_successfully' } }
    for (const name of ['traefik', 'vestibule'])
      expect(services[name]?.depends_on, name).toEqual(made)
    const { http } = parse(configs['app.yaml']?.content ?? '') as {
      http: { routers: Record<string, { rule: string; middlewares: string[] }> }
    }
    expect(http.routers['app']).toMatchObject({
      rule: `Host(\`${filledIn.PROTECTED_HOSTS}\`)`,
      middlewares: ['protected'],
    })
  })

  test('has an entry point without other spellings of headers, and believes nobody', () => {
    const { command = [] } = services['traefik'] ?? {}
    const websecure = '--entryPoints.websecure.http'
    expect(command).toContain(`${websecure}.aliasHeadersStrategy=delete`)
    expect(command).toContain(`${websecure}.encodedCharacters.allowEncodedBackSlash=false`)
    expect(command).toContain(`${websecure}.encodedCharacters.allowEncodedNullCharacter=false`)
    expect(command.filter((each) => /forwardedHeaders|insecure/i.test(each))).toEqual([])
  })
})

describe('its Redis', () => {
  test('has settings that the page names, and evicts nothing', () => {
    const page = readFileSync('docs/compose.md', 'utf8')
    const [, lines = ''] = /```ini\n(COMPOSE_FILE=.*?)```/s.exec(page) ?? []
    const { COMPOSE_FILE = '', ...settings } = parseEnv(
      lines.replaceAll('…', randomBytes(32).toString('base64')),
    )
    const { redis } = shortCompose(COMPOSE_FILE.split(':')).services
    expect(loadConfig({ ...base, ...settings }).settings).toMatchObject({
      REDIS_ENABLED: true,
      REDIS_ADDRESS: 'redis:6379',
    })
    const script = redis?.command?.at(-1) ?? ''
    expect(script).toMatch(/^maxmemory-policy noeviction$/m)
    expect(script).toMatch(/^requirepass \$\$REDIS_PASSWORD$/m)
  })
})

test('an image has the same tag and digest wherever it is named', () => {
  const files = ['docker-compose.yml', 'Dockerfile']
  const deployed = readdirSync('deploy', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ya?ml|tpl)$/.test(path))
    .map((path) => `deploy/${path}`)
  const named = [...files, ...deployed].flatMap((path) =>
    [
      ...readFileSync(path, 'utf8').matchAll(
        /(?:image:|FROM) +["']?((?:traefik|traefik\/whoami|redis|busybox|node):[^\s"'}]+)/g,
      ),
    ].map(([, image = '']) => image),
  )
  const byName = Object.groupBy(named, (image) => image.replace(/:.*/, ''))
  for (const images of Object.values(byName)) expect(new Set(images)).toHaveLength(1)
  expect(named.filter((image) => image.includes('@')).length).toBeGreaterThan(3)
})
