import { expect, test } from 'vitest'
import { helm, NO_HELM, runHelm, templateOf } from './charts.ts'

const LEAST = ['--values', 'test/deploy/chart-values/least.yaml']
const SECRET = 'never-print-this'
const url = `redis://u:${SECRET}@a`

/** Values beside the smallest installation, as --set-json takes them, with the words of their refusals. */
const REFUSALS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'by the schema': [
    ['replicas=3', "additional properties 'replicas' not allowed"],
    ['redis.hosts=["a"]', "at '/redis': additional properties 'hosts' not allowed"],
    ['replicaCount="two"', "at '/replicaCount': got string, want integer"],
    ['autoscaling.minReplicas=0', "at '/autoscaling/minReplicas': minimum: got 0, want 1"],
    ['memory="300Mi"', "at '/memory': value must be one of '256Mi', '512Mi', '640Mi', '1Gi'"],
    ['redis.kind="elasticache"', "at '/redis/kind': value must be one of 'url', 'sentinel'"],
    ['networkPolicy.provider.cidrs=["id.example.com"]', "at '/networkPolicy/provider/cidrs/0'"],
    ['networkPolicy.dns=null', "at '/networkPolicy': missing property 'dns'"],
    ['cpu=null', "at '': missing property 'cpu'"],
  ],
  'for settings': [
    ['settings.COOKIE_NAMES="x"', 'settings.COOKIE_NAMES is no setting of Vestibule'],
    ['settings.LOG_LEVEL={"a":"b"}', 'settings.LOG_LEVEL is neither a text'],
    [`settings.OIDC_CLIENT_SECRET="${SECRET}"`, 'OIDC_CLIENT_SECRET may hold a secret'],
    [
      `secret.name="gate",settings.ADMIN_TOKEN="${SECRET}"`,
      'put it into the key admin-token of the Secret gate',
    ],
    [`settings.REDIS_URL="${url}"`, 'put it into the key redis-url of the Secret gate'],
    [`settings.HTTPS_PROXY="http://u:${SECRET}@a"`, 'extraEnv with valueFrom.secretKeyRef'],
    [`config.session.encryptionKey="${SECRET}"`, 'put it into the key session-key of the Secret'],
    ['config.redis.enabled=true', 'REDIS_ENABLED is made by the chart: use the value redis.kind'],
    ['settings.PROTECTED_HOSTS=[]', 'no hosts are given: set settings.PROTECTED_HOSTS'],
    ['settings.OIDC_ISSUER_URL=""', 'OIDC_ISSUER_URL is not given'],
    ['settings.ALLOWED_EMAIL_DOMAINS=[]', 'nobody may enter: set settings.ALLOWED_EMAIL_DOMAINS'],
    ['settings.BASE_PATH="/oauth2/"', 'BASE_PATH is /oauth2/, which is no lower-case path'],
    ['config.port=5000,settings.PORT=6000', 'settings.PORT is 6000, but config.port is 5000'],
    ['settings.INTERNAL_PORT=80', 'PORT is 80, but a restricted pod listens above 1023'],
  ],
  'for the environment': [
    ['settings.REDIS_ENABLED=true', 'REDIS_ENABLED is made by the chart: use the value redis.kind'],
    ['extraEnv[0]={"name":"NODE_OPTIONS","value":"-x"}', 'use the value memory'],
    ['extraEnv[1]={"name":"IDENTITY_HEADERS","value":"A=b"}', 'use settings.IDENTITY_HEADERS'],
    ['extraEnv[2]={"name":"REDIS_URL","valueFrom":{}}', 'REDIS_URL, which is made by the chart'],
    [`extraEnv[3]={"name":"ADMIN_TOKEN","value":"${SECRET}"}`, 'use valueFrom.secretKeyRef'],
    ['extraVolumes=[{"name":"x","hostPath":{"path":"/"}}]', 'Pod Security Standard forbids'],
    ['image.tag="latest"', 'image.tag is latest'],
    ['autoscaling={"enabled":true,"maxReplicas":1}', 'maxReplicas is 1, below'],
    ['monitoring={"serviceMonitor":true,"podMonitor":true}', 'would be counted twice'],
  ],
  'for Redis in memory': [
    ['redis.kind="memory"', 'set replicaCount to 1'],
    ['image.digest="sha256:1"', 'write sha256: and 64 hexadecimal digits'],
  ],
  'for a cache in memory': [
    ['settings.REDIS_CACHE_MODE="memory"', 'set redis.kind to memory instead'],
    ['redis.addresses=["a:1"]', 'addresses are for sentinel and cluster'],
  ],
  'for Sentinels': [['redis.kind="sentinel"', 'name the Sentinels in redis.addresses']],
  'for a cluster': [
    [`redis={"kind":"cluster","addresses":["u:${SECRET}@a:1"]}`, '…@a:1: write host:port'],
  ],
  'for the bundled Redis': [
    ['redis={"kind":"bundled","tls":true}', 'the bundled Redis speaks no TLS'],
  ],
  'for middlewares': [
    ['middlewares.policies[0]="admins"', 'has admins, but config.policies has none'],
    ['middlewares.policies[1]="Admins"', 'after which no object can be named'],
    ['middlewares.policies[2]="strip"', 'is the middleware that deletes headers'],
    ['settings.IDENTITY_HEADERS_FILE="/x"', 'a file that the chart does not see'],
    ['settings.PROTECTED_HOSTS="app.example.com/x"', 'app.example.com/x is no host'],
    ['signIn.kind="HTTPRoute"', 'name the Gateway in signIn.parentRefs'],
    ['tls={"enabled":true,"secretName":"vestibule-client"}', 'belongs in no other namespace'],
  ],
  'for what the chart does not see': [
    ['existingConfigMap="x"', 'set settings.PASS_AUTHORIZATION (false for none)'],
    ['settings.IDENTITY_HEADERS=" "', 'set settings.IDENTITY_HEADERS ([]'],
    ['config.port=4000', 'there is one settings file: remove one'],
    ['settings.PROTECTED_HOSTS=null', 'name them in signIn.hosts'],
    ['tls.enabled=true', 'tls.enabled is true without a certificate'],
  ],
  'for an environment from elsewhere': [
    ['extraEnvFrom=[{}]', 'clients could forge headers that the middlewares lack'],
    ['tls.secretName="x"', 'tls has a certificate, but tls.enabled is false'],
  ],
  'for network policies': [
    ['networkPolicy.provider.cidrs=[]', 'networkPolicy.provider names no address'],
    ['networkPolicy.redis.cidrs=[]', 'networkPolicy.redis names no address'],
    ['networkPolicy.dns={"namespace":"","podLabels":{"k8s-app":null}}', 'dns names no pods'],
    [
      'networkPolicy.prometheus={"namespace":"","podLabels":{"app.kubernetes.io/name":null}}',
      'prometheus names no pods, so that all would be meant',
    ],
  ],
  'for a policy alone': [
    ['networkPolicy={"enabled":false,"defaultDeny":true}', 'so that nothing could be reached'],
  ],
}

test.for(Object.entries(REFUSALS))('%s, values are refused in words', ([, rows], { skip }) => {
  if (!helm) return skip(NO_HELM)
  const given = rows.flatMap(([values]) => ['--set-json', values])
  const { isRefused, stdout, stderr } = runHelm(templateOf('x', ...LEAST, ...given))
  expect(isRefused, stdout).toBe(true)
  for (const [, words] of rows) expect(stderr).toContain(words)
  expect(stderr).not.toContain(SECRET)
  expect(stderr).not.toContain('nil pointer')
})
