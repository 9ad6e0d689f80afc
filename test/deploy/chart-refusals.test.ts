import { expect, test } from 'vitest'
import { helm, NO_HELM, runHelm, templateOf } from './charts.ts'

const LEAST = ['--values', 'test/deploy/chart-values/least.yaml']
const SECRET = 'never-print-this'

/** Values beside the smallest installation, as --set-json takes them, with the words of the refusal. */
test.for([
  ['replicas=3', "additional properties 'replicas' not allowed"],
  ['redis.hosts=["a"]', "at '/redis': additional properties 'hosts' not allowed"],
  ['replicaCount="two"', "at '/replicaCount': got string, want integer"],
  ['replicaCount=0', "at '/replicaCount': minimum: got 0, want 1"],
  ['memory="300Mi"', "at '/memory': value must be one of '256Mi', '512Mi', '640Mi', '1Gi'"],
  ['redis.kind="elasticache"', "at '/redis/kind': value must be one of 'url', 'sentinel'"],
  ['networkPolicy.provider.cidrs=["id.example.com"]', "at '/networkPolicy/provider/cidrs/0'"],
  ['settings.COOKIE_NAMES="x"', 'settings.COOKIE_NAMES is no setting of Vestibule'],
  ['settings.LOG_LEVEL={"a":"b"}', 'settings.LOG_LEVEL is neither a text'],
  [`settings.OIDC_CLIENT_SECRET="${SECRET}"`, 'OIDC_CLIENT_SECRET may hold a secret'],
  [`config.oidc.clientSecret="${SECRET}"`, 'put it into the Secret vestibule and remove it'],
  [`extraEnv=[{"name":"ADMIN_TOKEN","value":"${SECRET}"}]`, 'use valueFrom.secretKeyRef'],
  ['extraEnv=[{"name":"NODE_OPTIONS","value":"-x"}]', 'use the value memory'],
  ['settings.REDIS_ENABLED=true', 'REDIS_ENABLED is made by the chart: use the value redis.kind'],
  ['config.redis.enabled=true', 'REDIS_ENABLED is made by the chart: use the value redis.kind'],
  ['settings.PROTECTED_HOSTS=[]', 'no hosts are given: set settings.PROTECTED_HOSTS'],
  ['settings.OIDC_ISSUER_URL=""', 'OIDC_ISSUER_URL is not given'],
  ['settings.ALLOWED_EMAIL_DOMAINS=[]', 'nobody may enter: set settings.ALLOWED_EMAIL_DOMAINS'],
  ['settings.PROTECTED_HOSTS="app.example.com/x"', 'app.example.com/x is no host'],
  ['settings.BASE_PATH="/oauth2/"', 'BASE_PATH is /oauth2/, which is no lower-case path'],
  ['config.port=5000,settings.PORT=6000', 'settings.PORT is 6000, but config.port is 5000'],
  ['settings.PORT=80', 'PORT is 80, but a restricted pod listens above 1023'],
  ['redis.kind="memory"', 'set replicaCount to 1'],
  ['settings.REDIS_CACHE_MODE="memory"', 'set redis.kind to memory instead'],
  ['redis.kind="sentinel"', 'name the Sentinels in redis.addresses'],
  ['redis.addresses=["a:1"]', 'addresses are for sentinel and cluster'],
  [`redis={"kind":"cluster","addresses":["u:${SECRET}@a:1"]}`, '…@a:1: write host:port'],
  ['redis={"kind":"bundled","tls":true}', 'the bundled Redis speaks no TLS'],
  ['middlewares.policies=["admins"]', 'has admins, but config.policies has none'],
  ['middlewares.policies=["Admins"]', 'after which no object can be named'],
  ['middlewares.policies=["strip"]', 'is the middleware that deletes headers'],
  ['existingConfigMap="x"', 'set settings.PASS_AUTHORIZATION (false for none)'],
  ['existingConfigMap="x",settings.IDENTITY_HEADERS=" "', 'set settings.IDENTITY_HEADERS ([]'],
  ['extraEnvFrom=[{}]', 'clients could forge headers that the middlewares lack'],
  ['settings.IDENTITY_HEADERS_FILE="/x"', 'a file that the chart does not see'],
  ['extraEnv=[{"name":"IDENTITY_HEADERS","value":"A=b"}]', 'use settings.IDENTITY_HEADERS'],
  ['extraEnv=[{"name":"REDIS_URL","valueFrom":{}}]', 'REDIS_URL, which is made by the chart'],
  ['existingConfigMap="x",config.port=4000', 'there is one settings file: remove one'],
  ['existingConfigMap="x",settings.PROTECTED_HOSTS=null', 'name them in signIn.hosts'],
  ['signIn.kind="HTTPRoute"', 'name the Gateway in signIn.parentRefs'],
  ['tls.enabled=true', 'tls.enabled is true without a certificate'],
  ['tls.secretName="x"', 'tls has a certificate, but tls.enabled is false'],
  ['tls={"enabled":true,"secretName":"vestibule-client"}', 'belongs in no other namespace'],
  ['autoscaling={"enabled":true,"maxReplicas":1}', 'maxReplicas is 1, below'],
  [
    'extraVolumes=[{"name":"x","hostPath":{"path":"/"}}]',
    'restricted Pod Security Standard forbids',
  ],
  ['image.tag="latest"', 'image.tag is latest'],
  ['image.digest="sha256:1"', 'write sha256: and 64 hexadecimal digits'],
  ['monitoring={"serviceMonitor":true,"podMonitor":true}', 'would be counted twice'],
  ['networkPolicy.provider.cidrs=[]', 'networkPolicy.provider names no address'],
  ['networkPolicy.redis.cidrs=[]', 'networkPolicy.redis names no address'],
  ['networkPolicy={"enabled":false,"defaultDeny":true}', 'so that nothing could be reached'],
] as const)('%s is refused', ([values, words], { skip }) => {
  if (!helm) return skip(NO_HELM)
  const { isRefused, stdout, stderr } = runHelm(templateOf('x', ...LEAST, '--set-json', values))
  expect(isRefused, stdout).toBe(true)
  expect(stderr).toContain(words)
  expect(stderr).not.toContain(SECRET)
  expect(stderr).not.toContain('nil pointer')
})
