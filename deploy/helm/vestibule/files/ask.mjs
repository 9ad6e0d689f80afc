// Asks Vestibule as the kubelet, the load balancer and Traefik do. Ends with 1 where an answer is not as it should be.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const { PUBLIC_ORIGIN, INTERNAL_ORIGIN, PROTECTED_ORIGIN, TLS_FOLDER } = process.env
const file = (name) => readFileSync(`${TLS_FOLDER}/${name}`)
const tls = TLS_FOLDER
  ? {
      ca: file('ca.crt'),
      ...(process.env.CLIENT_CERTIFICATE && { cert: file('tls.crt'), key: file('tls.key') }),
    }
  : {}

function ask(url, headers = {}) {
  return new Promise((resolve, reject) => {
    const client = url.startsWith('https:') ? https : http
    const request = client.get(url, { ...tls, headers, timeout: 5_000 }, async (answer) => {
      let text = ''
      for await (const chunk of answer.setEncoding('utf8')) text += chunk
      resolve({ status: answer.statusCode, text })
    })
    request.on('timeout', () => request.destroy(new Error('no answer within 5 s')))
    request.on('error', reject)
  })
}

function asTraefik(origin) {
  const { protocol, host } = new URL(origin)
  return ask(`${INTERNAL_ORIGIN}/auth`, {
    Accept: 'application/json',
    'X-Forwarded-Method': 'GET',
    'X-Forwarded-Proto': protocol.slice(0, -1),
    'X-Forwarded-Host': host,
    'X-Forwarded-Uri': '/',
  })
}

function reasonOf({ text }) {
  try {
    return String(JSON.parse(text).error).replaceAll(/[^a-z_]/g, '')
  } catch {
    return ''
  }
}

async function check(name, askIt, isRight) {
  const answer = await askIt().catch((error) => ({ status: error.code ?? error.message, text: '' }))
  const isFine = isRight(answer)
  const verdict = isFine ? 'as it should be' : 'NOT as it should be'
  console.log(`${name}: ${answer.status} ${reasonOf(answer)} ${verdict}`)
  if (!isFine) process.exitCode = 1
}

/** A pod that is none of TRUSTED_PROXIES is refused, which is right too. */
const isUntrusted = (answer) => answer.status === 403 && reasonOf(answer) === 'untrusted_peer'

await check(
  '/readyz',
  () => ask(`${INTERNAL_ORIGIN}/readyz`),
  ({ status }) => status === 200,
)
await check(
  '/healthz',
  () => ask(`${PUBLIC_ORIGIN}/healthz`),
  ({ status }) => status === 200,
)
await check(
  '/auth for a stranger',
  () => asTraefik(PROTECTED_ORIGIN),
  (answer) => [200, 302, 401].includes(answer.status) || isUntrusted(answer),
)
await check(
  '/auth for a host that is not protected',
  () => asTraefik('https://not-protected.invalid'),
  (answer) => reasonOf(answer) === 'foreign_host' || isUntrusted(answer),
)
