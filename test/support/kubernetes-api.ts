import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { findProgram, freePort, startProcess } from '../../stand-ins/process.ts'

const DEFINITIONS = process.env['KUBERNETES_DEFINITIONS'] ?? ''

/** Programs and files that a real API server needs and that this machine lacks; `undefined` where it has them. */
export function missingForApiServer(): string | undefined {
  const programs = ['kube-apiserver', 'etcd', 'kubectl'].filter((name) => !findProgram(name))
  if (programs.length > 0) return `not on PATH: ${programs.join(', ')}`
  if (existsSync(DEFINITIONS)) return undefined
  return 'KUBERNETES_DEFINITIONS names no folder with the custom resource definitions of Traefik, the Gateway API, cert-manager, the External Secrets Operator and the Prometheus Operator'
}

/** Starts etcd and a Kubernetes API server without controllers on loopback, and brings the definitions into it. */
export async function startApiServer() {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-kubernetes-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const at = (name: string) => join(folder, name)
  const [clients, peers, port] = [await freePort(), await freePort(), await freePort()]
  const token = randomBytes(16).toString('hex')
  await writeFile(at('tokens.csv'), `${token},admin,admin,system:masters\n`)
  await writeFile(at('kubeconfig'), kubeconfig(port, token))
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(at('accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const start = (program: string, options: Readonly<Record<string, string>>) => {
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
    const { stop } = startProcess(program, args, { cwd: folder })
    stack.defer(async () => void (await stop()))
  }
  const url = `http://127.0.0.1:${clients}`
  const peerUrl = `http://127.0.0.1:${peers}`
  start('etcd', {
    'data-dir': at('etcd'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `default=${peerUrl}`,
  })
  start('kube-apiserver', {
    'etcd-servers': url,
    'bind-address': '127.0.0.1',
    'secure-port': String(port),
    'cert-dir': at('certificates'),
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': at('accounts.key'),
    'service-account-signing-key-file': at('accounts.key'),
    'authorization-mode': 'RBAC',
    'token-auth-file': at('tokens.csv'),
    'endpoint-reconciler-type': 'none',
    'service-cluster-ip-range': '10.96.0.0/16',
  })
  const kubectl = (args: readonly string[], input = '') => runKubectl(at('kubeconfig'), args, input)
  while (kubectl(['get', '--raw=/readyz']).code !== 0) await wait(100)
  const applied = kubectl(['apply', '--server-side', '--recursive', '-f', DEFINITIONS])
  if (applied.code !== 0) throw new Error(applied.said)
  kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s'])
  const resources = stack.move()
  return { kubectl, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

function runKubectl(config: string, args: readonly string[], input: string) {
  const program = findProgram('kubectl') ?? ''
  const options = { input, encoding: 'utf8' } as const
  const { status, stderr } = spawnSync(program, [`--kubeconfig=${config}`, ...args], options)
  return { code: status, said: stderr.trim() }
}

function kubeconfig(port: number, token: string): string {
  const server = `https://127.0.0.1:${port}`
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  })
}
