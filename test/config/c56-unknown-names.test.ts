import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { describeNotice } from '../../src/config/notices.ts'
import { fileKeyOf } from '../../src/config/sources/file-keys.ts'
import { base, confidential, problemsOf, useFolder } from '../support/configuration.ts'
import { words } from '../support/words.ts'

const { write } = useFolder()
const SECRET = 'hunter2-nobody-prints'
const unknownIn = (environment: Readonly<Record<string, string>>) =>
  loadConfig({ ...base, ...environment }).notices

test.for(
  words`
  REDIS_ADRESS=REDIS_ADDRESS RDIS_ADDRESS=REDIS_ADDRESS REDIS_ADDRES=REDIS_ADDRESS
  REDSI_ADDRESS=REDIS_ADDRESS REDIS_ADDRESSES=REDIS_ADDRESS REDIS_URI=REDIS_URL
  OIDC_ISSUER=OIDC_ISSUER_URL OIDC_ISSUER_URI=OIDC_ISSUER_URL ODIC_CLIENT_ID=OIDC_CLIENT_ID
  SESSION_ENCRYPTON_KEY=SESSION_ENCRYPTION_KEY oidc_client_id=OIDC_CLIENT_ID Port=PORT
  SESSIONENCRYPTIONKEYFILE=SESSION_ENCRYPTION_KEY_FILE oidcClientPrivateKey=OIDC_CLIENT_PRIVATE_KEY
  REDIS_TLS=REDIS_ENABLE_TLS redis_ssl=REDIS_ENABLE_TLS REDIS_CA=REDIS_CA_FILE REDIS_URLXX=REDIS_URL IDENTITY_HEADER=IDENTITY_HEADERS
  SESSION_ENCRYPTION_KEY_FIEL=SESSION_ENCRYPTION_KEY_FILE REDIS_PASSWORD_FILES=REDIS_PASSWORD_FILE
  REDIS_PASWORD_FILE=REDIS_PASSWORD_FILE PORT_FILE=PORT OIDC_CLIENT_ID_FILE=OIDC_CLIENT_ID
  ALLOWED_GROUP=ALLOWED_GROUPS LOGLEVEL=LOG_LEVEL redis-address=REDIS_ADDRESS
  REDIS__ADDRESS=REDIS_ADDRESS SESSION_IDLE=SESSION_IDLE_TIMEOUT INTERNAL_PROT=INTERNAL_PORT
  SESSION_ENCRYPTION=SESSION_ENCRYPTION_KEY
  COOKIE_DOMIAN=COOKIE_DOMAIN VESTIBULE_CONFG=VESTIBULE_CONFIG
`.map((row) => row.split('=') as [string, string]),
)('%s is told as a miss of %s, without its value', ([name, meant]) => {
  expect(unknownIn({ [name]: SECRET })).toEqual([{ kind: 'unknown-name', name, meant }])
})

test('names of the system, of Kubernetes and of other programs are not told', () => {
  const others = words`
    PATH HOME HOSTNAME PWD USER TERM LANG SHELL TZ LOGNAME SHLVL TMPDIR EDITOR COLORTERM NODE_ENV
    NODE_OPTIONS NODE_EXTRA_CA_CERTS HTTP_PROXY HTTPS_PROXY NO_PROXY no_proxy https_proxy ALL_PROXY npm_config_prefix
    SSL_CERT_FILE SESSION_MANAGER XDG_SESSION_ID OTEL_SERVICE_NAME POD_NAME POD_IP REDIS_HOST
    REDIS_VERSION REDIS_SERVICE_HOST REDIS_SERVICE_PORT REDIS_SERVICE_PORT_TLS KUBERNETES_PORT
    REDIS_PORT_6379_TCP_ADDR REDIS_PORT_6379_TCP_PROTO INTERNAL_PROT_SERVICE_HOST VESTIBULE_PORT
    VESTIBULE_SERVICE_HOST PUBLIC_HOST IDENTITY_ENDPOINT IDENTITY_HEADER REDIS_TTL REDIS_DSN WS_PROXY
  `
  const services = words`REDIS_PORT PORTS INTERNAL_PORTS REDIS_DB_PORT VESTIBULE_PORT_4181_TCP`
  const environment = {
    ...Object.fromEntries(others.map((name) => [name, SECRET])),
    ...Object.fromEntries(services.map((name) => [name, 'tcp://10.96.0.7:6379'])),
    REDIS_ADRESS: ' \n',
  }
  expect(unknownIn(environment)).toEqual([])
})

test('a near miss is said beside the problem that it causes', () => {
  const { OIDC_ISSUER_URL: issuer, ...rest } = base
  expect(() => loadConfig({ ...rest, OIDC_ISSUER: issuer })).toThrow(
    / {2}- OIDC_ISSUER_URL: is missing.*\n {2}- note: OIDC_ISSUER is not a setting .* is OIDC_ISSUER_URL meant\?$/,
  )
})

test('what has no effect is told, without its value', async () => {
  const VESTIBULE_CONFIG = await write(
    `adminTokenFile: ${SECRET}\nport: 1\nredis: { address: redis }\n`,
  )
  const { notices } = loadConfig({
    ...base,
    VESTIBULE_CONFIG,
    ADMIN_TOKEN: SECRET,
    PORT: '0',
    SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    REDIS_ENABLED: 'true',
    REDIS_URL: `redis,keepAlive=5,password=${SECRET}`,
    REDIS_POOL_SIZE: '10',
  })
  expect(notices.map(describeNotice)).toEqual([
    'port of VESTIBULE_CONFIG has no effect: the environment gives PORT',
    'adminTokenFile of VESTIBULE_CONFIG has no effect: the environment gives ADMIN_TOKEN',
    'redis.address of VESTIBULE_CONFIG has no effect: the environment gives REDIS_URL',
    'REDIS_URL: the option keepAlive has no effect',
    'REDIS_POOL_SIZE has no effect: one pipelined connection serves a replica',
  ])
})

const REFERENCE = 'urn:k8s:secret:redis-secret:password'

test.for([
  ['REDIS_PASSWORD', REFERENCE],
  ['REDIS_PASSWORD', ` ${REFERENCE.toUpperCase()}\n`],
  ['OIDC_CLIENT_SECRET', REFERENCE],
  ['SESSION_ENCRYPTION_KEY', REFERENCE],
  ['ADMIN_TOKEN', REFERENCE],
  ['ADMIN_TOKEN', '\x24{ADMIN_TOKEN}'],
  ['REDIS_ADDRESS', `redis:6379,password=${REFERENCE}`],
  ['REDIS_URL', `redis://:${encodeURIComponent(REFERENCE)}@redis`],
  ['OIDC_CLIENT_ID', REFERENCE],
] as const)('%s=%s is refused with the remedy, wherever it stands', async ([name, value]) => {
  const remedy = new RegExp(`set ${name} in .*${name === 'OIDC_CLIENT_ID' ? '' : `${name}_FILE`}`)
  const [section, key] = fileKeyOf(name).split('.') as [string, string?]
  const file = await write(stringify({ [section]: key === undefined ? value : { [key]: value } }))
  const places = [
    { [name]: value },
    { VESTIBULE_CONFIG: file, [name]: '' },
    ...(name === 'OIDC_CLIENT_ID'
      ? []
      : [await write(value), REFERENCE].map((path) => ({ [name]: '', [`${name}_FILE`]: path }))),
  ]
  for (const place of places) {
    const problems = problemsOf({ ...confidential, ...place })
    expect(problems).toEqual([expect.stringMatching(remedy)])
    expect(problems[0]).not.toContain('redis-secret')
  }
})
