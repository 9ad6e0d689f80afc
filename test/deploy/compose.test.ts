import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { findProgram } from '../../stand-ins/process.ts'
import { fileSettings, LAST_SECONDS, loadSettings, readSettings, SECRET_NAMES } from './settings.ts'

interface Service extends Partial<Record<'command' | 'volumes' | 'ports', string[]>> {
  image: string
  build?: string
  environment?: Record<string, string>
  networks?: string[] | Record<string, { aliases: string[] } | null>
  healthcheck?: { test: string[] }
  deploy?: { replicas: number }
  depends_on?: Record<string, { condition: string }>
  stop_grace_period?: string
}

const text = readFileSync('docker-compose.yml', 'utf8')
const compose = parse(text, { merge: true }) as Record<string, Record<string, Service>>
const { services = {} } = compose
const service = (name: string): Service => {
  const found = services[name]
  if (!found) throw new Error(`there is no service ${name}`)
  return found
}
const traefiks = ['traefik-1', 'traefik-2'].map(service)
const environment = readSettings('deploy/compose/vestibule.env')
const staticFile = parse(readFileSync('deploy/compose/traefik.yaml', 'utf8')) as {
  entryPoints: Record<string, { address: string; http: Record<string, unknown> }>
  providers: Record<string, { directory: string }>
}
const apps = parse(readFileSync('deploy/compose/dynamic/apps.yaml', 'utf8')) as {
  http: { routers: Record<string, { rule: string; middlewares?: string[] }> }
}

describe('docker-compose.yml', () => {
  test('has nothing at its top that docker-compose 1.29 refuses', () => {
    const own = Object.keys(compose).filter((key) => !key.startsWith('x-'))
    expect(own.toSorted()).toEqual(['networks', 'services', 'volumes'])
  })

  test('is understood by the docker-compose that is here', ({ skip }) => {
    const program = findProgram('docker-compose')
    if (!program) return skip('docker-compose is not on PATH')
    const told = execFileSync(program, ['config', '--services'], { encoding: 'utf8' })
    expect(told.trim().split('\n').toSorted()).toEqual(Object.keys(services).toSorted())
  })

  test.for(Object.keys(services))('%s can change nothing but its volumes', (name) => {
    expect(service(name)).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
    for (const forbidden of ['privileged', 'cap_add', 'container_name'])
      expect(service(name)).not.toHaveProperty(forbidden)
    for (const volume of service(name).volumes ?? []) expect(volume).not.toContain('docker.sock')
  })

  test.for(Object.keys(services))('%s has an image with a tag that stays', (name) => {
    const { image } = service(name)
    expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?[a-z0-9.-]*(@sha256:[0-9a-f]{64})?$/)
    if (image.startsWith('vestibule')) expect(image.split(':')[1]).toBe(packageJson.version)
  })

  test('builds each image once, before the services that need it', () => {
    const built = Object.entries(services).filter(([, { build }]) => build !== undefined)
    const images = built.map(([, { image }]) => image)
    expect(images).toEqual([...new Set(images)])
    const builders = new Map(built.map(([name, { image }]) => [image, name]))
    for (const [name, { image, depends_on = {} }] of Object.entries(services)) {
      const builder = builders.get(image)
      if (builder !== undefined && builder !== name) expect(depends_on).toHaveProperty(builder)
    }
  })

  test('publishes Traefik alone, and to this machine alone', () => {
    const published = Object.entries(services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => `${name} ${port}`),
    )
    expect(published).toEqual(['traefik-1 127.0.0.1:8080:8080', 'traefik-2 127.0.0.1:8081:8080'])
  })

  test('checks the health of each that others need; Vestibule says itself how', () => {
    for (const each of ['traefik-1', 'traefik-2', 'redis', 'demo-provider'])
      expect(service(each).healthcheck?.test.length, each).toBeGreaterThan(1)
    expect(service('vestibule').healthcheck).toBe(undefined)
    expect(readFileSync('Dockerfile', 'utf8')).toContain('HEALTHCHECK')
  })

  test('has several Vestibules, which have time to drain', () => {
    const { deploy, stop_grace_period = '', depends_on } = service('vestibule')
    expect(deploy?.replicas).toBe(3)
    expect(depends_on).toMatchObject({ redis: { condition: 'service_healthy' } })
    const { DRAIN_SECONDS } = loadSettings(environment).settings
    const needed = DRAIN_SECONDS.seconds + LAST_SECONDS
    expect(Number.parseInt(stop_grace_period, 10)).toBeGreaterThan(needed)
  })
})

describe('its networks', () => {
  const networksOf = (name: string): readonly string[] => {
    const { networks = [] } = service(name)
    return 'length' in networks ? (networks as readonly string[]) : Object.keys(networks)
  }
  const neighbours = (name: string) =>
    Object.keys(services)
      .filter((other) => other !== name)
      .filter((other) => networksOf(other).some((each) => networksOf(name).includes(each)))
      .toSorted()

  test.for([
    ['redis', ['vestibule']],
    ['vestibule', ['redis', 'traefik-1', 'traefik-2']],
    ['whoami', ['traefik-1', 'traefik-2']],
    ['demo-provider', ['traefik-1', 'traefik-2']],
  ] as const)('C17: %s is reached by %j alone', ([name, others]) => {
    expect(neighbours(name)).toEqual(others)
  })

  test('C17: lead nowhere outside but through Traefik', () => {
    const networks = compose['networks'] as unknown as Record<string, { internal?: true } | null>
    for (const name of Object.keys(services).flatMap(networksOf))
      expect(networks[name]?.internal, name).toBe(name === 'edge' ? undefined : true)
    for (const name of Object.keys(services).filter((each) => networksOf(each).length === 0))
      expect(service(name)).toMatchObject({ network_mode: 'none' })
  })
})

describe('its secrets', () => {
  const maker = service('secrets')

  test('are made on first start, and are in no file of this repository', () => {
    const made = /for name in ([^;]+);/.exec(maker.command?.join(' ') ?? '')?.[1]?.split(' ') ?? []
    const wanted = fileSettings(environment).map(([, path]) => basename(path))
    expect(made.toSorted()).toEqual(wanted.toSorted())
    expect(SECRET_NAMES).toEqual(expect.arrayContaining(made))
    for (const name of made) expect(existsSync(`deploy/compose/${name}`)).toBe(false)
  })

  test.for([
    ['vestibule', 'vestibule', ['client-secret', 'redis-password', 'session-key']],
    ['redis', 'redis', ['redis-password']],
    ['demo-provider', 'provider', ['client-secret']],
  ] as const)('C17: %s reads those that it needs, and no other', ([name, folder, wanted]) => {
    expect(service(name).volumes).toContain(`${folder}-secrets:/run/secrets:ro`)
    expect(maker.volumes).toContain(`${folder}-secrets:/${folder}`)
    const script = maker.command?.join('\n') ?? ''
    const made = folder === 'vestibule' ? script.match(/for name in (.*);/)?.[1]?.split(' ') : []
    const copied = [...script.matchAll(/^cp -f \/vestibule\/(\S+) \/(\S+)\/$/gm)]
      .filter(([, , to]) => to === folder)
      .map(([, secret = '']) => secret)
    expect([...(made ?? []), ...copied].toSorted()).toEqual(wanted)
  })

  test('are read from files that only their maker can write', () => {
    for (const [name, { volumes = [] }] of Object.entries(services)) {
      const mounted = volumes.filter((volume) => volume.includes('secrets:'))
      expect(mounted.length, name).toBe(
        { secrets: 3, vestibule: 1, redis: 1, 'demo-provider': 1 }[name] ?? 0,
      )
      if (name !== 'secrets') for (const each of mounted) expect(each).toMatch(/:ro$/)
    }
    for (const [, path] of fileSettings(environment)) expect(path).toMatch(/^\/run\/secrets\//)
  })

  test('are in no environment', () => {
    const names = Object.values(services).flatMap((each) => Object.keys(each.environment ?? {}))
    for (const name of [...names, ...Object.keys(environment)]) {
      if (/SECRET|PASSWORD|KEY|TOKEN|URL$/.test(name) && name !== 'OIDC_ISSUER_URL')
        expect(name).toMatch(/_FILE$/)
    }
  })
})

describe('its TLS', () => {
  const maker = service('certificates')
  const script = maker.command?.join('\n') ?? ''

  test('has a certificate that is made at first and renewed at each further start', () => {
    expect(maker).toMatchObject({ restart: 'no', network_mode: 'none' })
    expect(script).toContain('vestibule certificates /authority $$renew')
    for (const each of [service('vestibule'), ...traefiks]) {
      const made = { condition: 'service_completed_successfully' }
      expect(each.depends_on).toMatchObject({ certificates: made })
    }
  })

  test.for([
    ['vestibule', '/vestibule', 'vestibule-tls:/run/tls:ro', ['tls.key', 'tls.crt']],
    ['traefik-1', '/traefik', 'traefik-tls:/etc/traefik/vestibule-tls:ro', ['ca.crt']],
    ['traefik-2', '/traefik', 'traefik-tls:/etc/traefik/vestibule-tls:ro', ['ca.crt']],
  ] as const)(
    'C17: %s gets its files of %s, and nobody the key of the authority',
    ([name, folder, volume, files]) => {
      const copied = `install -m 444 ${files.map((file) => `/authority/${file}`).join(' ')} ${folder}/`
      expect(script.split('\n')).toContain(copied)
      expect(maker.volumes).toContain(`${volume.split(':')[0]}:${folder}`)
      expect(service(name).volumes).toContain(volume)
      const holders = Object.keys(services).filter((each) =>
        service(each).volumes?.some((mounted) => mounted.startsWith('authority:')),
      )
      expect(holders).toEqual(['certificates'])
    },
  )

  test('is asked for by the middleware, at the files that are mounted', () => {
    const files = readFileSync('deploy/compose/dynamic/vestibule.yaml', 'utf8')
    const { http } = parse(files) as { http: { middlewares: Record<string, object> } }
    expect(http.middlewares['vestibule']).toMatchObject({
      forwardAuth: {
        address: 'https://vestibule:4181/auth',
        tls: { ca: '/etc/traefik/vestibule-tls/ca.crt' },
      },
    })
    const paths = ['INTERNAL_TLS_CERT_FILE', 'INTERNAL_TLS_KEY_FILE'].map((it) => environment[it])
    expect(paths).toEqual(['/run/tls/tls.crt', '/run/tls/tls.key'])
  })
})

describe('its Redis', () => {
  const { command = [], healthcheck, volumes } = service('redis')

  test('evicts nothing and keeps what it is given', () => {
    const lines = readFileSync('deploy/compose/redis.conf', 'utf8').split('\n')
    const set = ['dir /data', 'appendonly yes', 'maxmemory 128mb', 'maxmemory-policy noeviction']
    expect(lines).toEqual(expect.arrayContaining(set))
    expect(volumes).toContain('redis:/data')
  })

  test('has a password, and is asked whether it is well without a write', () => {
    expect(command.join(' ')).toContain('requirepass $$(cat /run/secrets/redis-password)')
    expect(command.join(' ')).not.toContain('--requirepass')
    expect(healthcheck?.test.join(' ')).toMatch(/ redis-cli ping \| grep -q PONG$/)
  })
})

describe('its routing', () => {
  test('comes from files, not from labels that vanish with unhealthy containers', () => {
    expect(Object.keys(staticFile.providers)).toEqual(['file'])
    expect(text).not.toContain('traefik.http.')
    for (const traefik of traefiks)
      expect(traefik.volumes).toContain('./deploy/compose/dynamic:/etc/traefik/dynamic:ro')
  })

  test('lets no other spelling of a header in and believes nobody', () => {
    for (const entryPoint of Object.values(staticFile.entryPoints)) {
      expect(entryPoint.http['aliasHeadersStrategy']).toBe('delete')
      expect(entryPoint).not.toHaveProperty('forwardedHeaders')
    }
  })

  test('guards the app, and the provider is open', () => {
    const { whoami, idp } = apps.http.routers
    expect(whoami?.middlewares).toEqual(['protected'])
    expect(idp?.middlewares).toBe(undefined)
  })

  test('gives the issuer one address, from the browser and from containers', () => {
    const names = ['OIDC_ISSUER_URL', 'OIDC_CLIENT_ID', 'PROTECTED_HOSTS']
    const [ISSUER, CLIENT_ID, CLIENT_ORIGINS] = names.map((name) => environment[name])
    const expected = { ISSUER, CLIENT_ID, CLIENT_ORIGINS }
    expect(service('demo-provider').environment).toMatchObject(expected)
    const { hostname, port } = new URL(ISSUER ?? '')
    expect(apps.http.routers['idp']?.rule).toBe(`Host(\`${hostname}\`)`)
    expect(staticFile.entryPoints['web']?.address).toBe(`:${port}`)
    for (const traefik of traefiks)
      expect(traefik.networks).toMatchObject({ check: { aliases: [hostname] } })
  })

  test('shares one session between both Traefiks', () => {
    const { hosts, settings } = loadSettings(environment)
    const name = 'whoami.apps.localhost'
    expect(hosts.map(({ hostname }) => hostname)).toEqual([name, name])
    const expected = { COOKIE_DOMAIN: 'apps.localhost', REDIS_ADDRESS: 'redis:6379' }
    expect(settings).toMatchObject(expected)
  })
})
