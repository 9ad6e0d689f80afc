import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { loadConfig } from '../../src/config/load.ts'
import { settings as known, notesOf } from '../../src/config/settings/settings.ts'
import { HEALTH_PATH } from '../../src/http/health-path.ts'
import { traefikFile } from '../../src/render/traefik.ts'
import { findProgram } from '../../stand-ins/process.ts'
import { LAST_SECONDS } from './settings.ts'

type Values = Record<string, unknown>
type Blocks = Record<string, [Values]>
interface Module {
  readonly variable: Record<string, [Values & { default?: unknown; validation?: Values[] }]>
  readonly locals: readonly Values[]
  readonly output: Blocks
  readonly resource: Record<string, Blocks>
  readonly data: Record<string, Blocks>
  readonly ephemeral: Record<string, Blocks>
}

const FOLDER = 'deploy/terraform/aws'
// Required, because the types of this package would bring those of browsers into the whole project.
const require = createRequire(import.meta.url)
const { convertFiles } = require('@cdktn/hcl2json') as {
  convertFiles: (folder: string) => Promise<Module>
}
const files = await convertFiles(FOLDER)
const text = JSON.stringify(files)
const locals: Values = Object.fromEntries(files.locals.flatMap((each) => Object.entries(each)))
const options = locals['options'] as Record<string, Record<string, string>>

/** Values of the expressions that the settings and the files of the instances have, in place of Terraform's evaluation. */
const SAMPLES: Readonly<Record<string, string>> = {
  'join(",", var.protected_hosts)': 'app.example.com,www.example.com',
  'join(" || ", [for host in var.protected_hosts : "Host(`${host}`)"])':
    'Host(`app.example.com`) || Host(`www.example.com`)',
  'jsonencode(sort([for subnet in data.aws_subnet.balancer : subnet.cidr_block]))':
    '["10.0.2.0/24","10.0.3.0/24"]',
  'var.oidc_issuer_url': 'https://id.example.com',
  'var.oidc_client_id': 'vestibule',
  'tostring(var.redis_cluster)': 'true',
  'local.redis_endpoint': 'clustercfg.vestibule-redis.abc123.use2.cache.amazonaws.com',
  'local.redis_port': String(locals['redis_port']),
  'local.traefik_port': String(locals['traefik_port']),
  'local.health_path': String(locals['health_path']),
  'var.vestibule_image': `registry.example.com/vestibule:${packageJson.version}`,
  'var.app_url': String(files.variable['app_url']?.[0].default),
}
const sample = (expression: string): string => {
  const value = SAMPLES[expression]
  if (value === undefined) throw new Error(`there is no sample for ${expression}`)
  return value
}
const filled = (value: string) => value.replace(/\$\{([^{}]*)\}/g, (_, it: string) => sample(it))

/** Returns the values of a template by name, from the text of its `templatefile` call. */
const given = (call: string) =>
  Object.fromEntries(
    [...call.matchAll(/^\s*(\w+)\s+= (.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  )
const sources = (files.data['archive_file']?.['bundle']?.[0]['source'] ?? []) as Record<
  'filename' | 'content',
  string
>[]
/** Returns a file of the instances as Terraform fills its template in. */
function filledFile(name: string): unknown {
  const call = sources.find(({ filename }) => filename === name)?.content ?? ''
  const path = /templatefile\("\$\{path\.module\}\/([^"]+)"/.exec(call)?.[1] ?? ''
  const template = readFileSync(`${FOLDER}/${path}`, 'utf8')
  const values = given(call)
  const used = [...template.matchAll(/\$\{(\w+)\}/g)].map(([, variable]) => variable)
  expect(new Set(used), name).toEqual(new Set(Object.keys(values)))
  const text = template.replace(/\$\{(\w+)\}/g, (_, it: string) => sample(values[it] ?? it))
  return parse(text, { merge: true })
}
interface Service extends Values {
  readonly image: string
  readonly networks?: readonly string[]
  readonly command?: readonly string[]
  readonly stop_grace_period?: string
}
const { services } = filledFile('docker-compose.yml') as { services: Record<string, Service> }
const secrets = Object.keys(locals['secrets'] as Values)
const settings = Object.fromEntries(
  Object.entries(locals['own_settings'] as Record<string, string>).map(([name, value]) => [
    name,
    filled(value.replace(/^\$\{(.*)\}$/, (whole, it: string) => SAMPLES[it] ?? whole)),
  ]),
)
const config = loadConfig({
  ALLOWED_EMAIL_DOMAINS: 'example.com',
  ...settings,
  // 64 letters and digits, as `random_password` makes them.
  ...Object.fromEntries(
    secrets.map((name) => [name, randomBytes(48).toString('base64').replaceAll(/[+/]/g, 'a')]),
  ),
})

describe('deploy/terraform/aws', () => {
  test('is formatted as terraform fmt does it', ({ skip }) => {
    const terraform = findProgram('terraform')
    if (!terraform) return skip('terraform is not on PATH')
    const env = { ...process.env, CHECKPOINT_DISABLE: '1' }
    expect(execFileSync(terraform, ['fmt', '-check', '-recursive', FOLDER], { env })).toHaveLength(
      0,
    )
  })

  test('refers to what it declares, and declares nothing that is not referred to', () => {
    const declared = new Set([
      ...Object.keys(files.variable).map((name) => `var.${name}`),
      ...Object.keys(locals).map((name) => `local.${name}`),
      ...(['data', 'ephemeral', 'resource'] as const).flatMap((kind) =>
        Object.entries(files[kind]).flatMap(([type, blocks]) =>
          Object.keys(blocks).map(
            (name) => `${kind === 'resource' ? '' : `${kind}.`}${type}.${name}`,
          ),
        ),
      ),
    ])
    const reference =
      /(?<![\w.-])(?:var|local)\.\w+|(?<![\w.:-])(?:(?:data|ephemeral)\.)?(?:aws|random|archive)_\w+\.\w+/g
    const referred = new Set(text.match(reference))
    expect([...referred].filter((name) => !declared.has(name))).toEqual([])
    const unused = [...declared].filter((name) => /^(var|local|data|ephemeral)\./.test(name))
    expect(unused.filter((name) => !referred.has(name))).toEqual([])
    for (const [name, [variable]] of Object.entries({ ...files.variable, ...files.output }))
      expect(variable['description'], name).toMatch(/\w{3}/)
  })

  test('keeps every secret out of the state', () => {
    expect(text).not.toMatch(/"(secret_string|secret_binary|auth_token|password)":/)
    expect(Object.keys(files.resource)).not.toContain('random_password')
    for (const [stored] of Object.values(files.resource['aws_secretsmanager_secret_version'] ?? {}))
      expect(stored['secret_string_wo']).toMatch(/^\$\{ephemeral\./)
    const refused = files.variable['settings']?.[0].validation?.[1]?.['condition'] as string
    const names = Object.keys(known.shape) as (keyof typeof known.shape)[]
    const secret = names.filter((name) => notesOf(name).isSecret && name !== 'REDIS_USERNAME')
    expect(refused.match(/[A-Z][A-Z_]+/g)?.toSorted()).toEqual(secret.toSorted())
    expect(secret).toEqual(expect.arrayContaining(secrets))
  })

  test('has a Redis with TLS, a password, a replica in another zone, and without eviction', () => {
    expect(files.resource['aws_elasticache_replication_group']?.['redis']?.[0]).toMatchObject({
      transit_encryption_enabled: true,
      transit_encryption_mode: 'required',
      at_rest_encryption_enabled: true,
      auth_token_wo: '${ephemeral.aws_secretsmanager_secret_version.redis.secret_string}',
      automatic_failover_enabled: true,
      multi_az_enabled: true,
      parameter_group_name: '${aws_elasticache_parameter_group.redis.name}',
      security_group_ids: ['${aws_security_group.redis.id}'],
    })
    const group = files.resource['aws_elasticache_parameter_group']?.['redis']?.[0]
    expect(group?.['parameter']).toEqual([
      { name: 'maxmemory-policy', value: 'noeviction' },
      { name: 'cluster-enabled', value: '${var.redis_cluster ? "yes" : "no"}' },
    ])
  })

  test('has two instances in two zones behind a balancer without stickiness', () => {
    expect(options['aws:autoscaling:asg']).toEqual({
      MinSize: '${tostring(var.min_instances)}',
      MaxSize: '${tostring(var.max_instances)}',
      'Availability Zones': 'Any 2',
    })
    const [fewest] = files.variable['min_instances'] ?? [{}]
    expect(fewest.default).toBeGreaterThanOrEqual(2)
    expect(fewest.validation?.[0]?.['condition']).toBe('${var.min_instances >= 2}')
    expect(text.match(/availability_zone\]\)\) >= 2/g)).toHaveLength(2)
    expect(options['aws:elasticbeanstalk:environment:process:default']).toMatchObject({
      HealthCheckPath: '${local.health_path}',
      MatcherHTTPCode: '200',
      Port: '${tostring(local.traefik_port)}',
      StickinessEnabled: 'false',
    })
    expect(locals['health_path']).toBe(HEALTH_PATH)
    expect(options['aws:elbv2:listener:443']).toMatchObject({ Protocol: 'HTTPS' })
    expect(options['aws:elbv2:listener:default']).toEqual({ ListenerEnabled: 'false' })
  })

  test('C17: lets browsers reach the balancer, the balancer Traefik, the instances Redis, and nobody anything else', () => {
    const rules = Object.values(files.resource['aws_vpc_security_group_ingress_rule'] ?? {})
    expect(
      rules.map(([rule]) => [
        rule['security_group_id'],
        rule['cidr_ipv4'] ?? rule['referenced_security_group_id'],
        rule['from_port'],
        rule['to_port'],
      ]),
    ).toEqual(
      [
        ['balancer', 'each.value', 443, 443],
        ['redis', 'instances', 'local.redis_port', 'local.redis_port'],
        ['instances', 'balancer', 'local.traefik_port', 'local.traefik_port'],
      ].map((row) => row.map(asReference)),
    )
    for (const [group] of Object.values(files.resource['aws_security_group'] ?? {}))
      expect(Object.keys(group)).not.toContain('ingress')
  })

  test('gives Vestibule settings that it has, and that it can start with', () => {
    for (const name of [...Object.keys(settings), ...secrets])
      expect(known.shape).toHaveProperty(name)
    expect(config.settings).toMatchObject({ REDIS_CLUSTER: true, REDIS_CACHE_MODE: 'hybrid' })
    expect(config.redis?.tls).toBeDefined()
    expect(options['aws:elasticbeanstalk:application:environmentsecrets']).toBe('${local.secrets}')
  })

  test('runs on each instance Traefik, the one port that is published, and Vestibule behind it', () => {
    const published = Object.entries(services).filter(([, each]) => 'ports' in each)
    expect(published).toMatchObject([['traefik', { ports: [`${locals['traefik_port']}:8080`] }]])
    const { PORT, INTERNAL_PORT, DRAIN_SECONDS } = config.settings
    const ports = { PORT: String(PORT), INTERNAL_PORT: String(INTERNAL_PORT) }
    expect(services['vestibule']).toMatchObject({ env_file: ['.env'], environment: ports })
    const stop = Number.parseInt(services['vestibule']?.stop_grace_period ?? '', 10)
    expect(stop).toBeGreaterThan(DRAIN_SECONDS.seconds + LAST_SECONDS)
    const shared = (one: string, other: string) =>
      services[one]?.networks?.filter((name) => services[other]?.networks?.includes(name))
    expect([shared('traefik', 'vestibule'), shared('whoami', 'vestibule')]).toEqual([['check'], []])
    for (const [name, each] of Object.entries(services)) {
      expect(each, name).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
      if (name !== 'middleware') expect(each.image, name).toMatch(/:v?\d+\.\d+/)
    }
  })

  test('has a Traefik that believes the balancer alone, and answers its health checks by Vestibule', () => {
    const web = {
      address: ':8080',
      http: { aliasHeadersStrategy: 'delete' },
      forwardedHeaders: { trustedIPs: ['10.0.2.0/24', '10.0.3.0/24'] },
    }
    expect(filledFile('traefik.yaml')).toMatchObject({ entryPoints: { web } })
    const health = { rule: `Path(\`${HEALTH_PATH}\`)`, priority: 1, service: 'vestibule' }
    const routers = { app: { middlewares: ['protected'] }, health }
    expect(filledFile('apps.yaml')).toMatchObject({ http: { routers } })
    expect(services['middleware']?.command?.[0]).toContain(
      'vestibule render traefik --host vestibule',
    )
    const servers = [{ url: 'http://vestibule:4180' }]
    expect(parse(traefikFile(config, 'vestibule'))).toMatchObject({
      http: {
        middlewares: { protected: { chain: expect.anything() as unknown } },
        services: { vestibule: { loadBalancer: { servers } } },
      },
    })
  })

  test('has an example that names every variable without a default', () => {
    const example = readFileSync(`${FOLDER}/terraform.tfvars.example`, 'utf8')
    const needed = Object.entries(files.variable).filter(([, [it]]) => !('default' in it))
    const named = [...example.matchAll(/^(\w+) +=/gm)].map(([, name]) => name)
    expect(new Set(named)).toEqual(new Set(needed.map(([name]) => name)))
  })
})

function asReference(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return `\${${value.includes('.') ? value : `aws_security_group.${value}.id`}}`
}
