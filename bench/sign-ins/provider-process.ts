import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { listenOn } from '../../stand-ins/network/server.ts'
import { testClient } from '../../test/support/vestibule.ts'

/**
 * Provider in a process of its own that does only what a sign-in needs, so that it does not take the processor from
 * Vestibule. It keeps nothing: a code says itself whose it is and for which nonce.
 */
const { privateKey, publicKey } = await generateKeyPair('RS256')
const keys = [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }]
const server = createServer((request, response) => void answer(request, response))
const issuer = `http://127.0.0.1:${await listenOn(server)}`

/** Content of a code. */
export interface Code {
  readonly nonce: string
  readonly sub: string
}

process.on('message', () => process.send?.(issuer))
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body =
    request.url === '/token' ? await tokens(await text(request)) : documentAt(request.url)
  response.writeHead(body ? 200 : 404, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body ?? {}))
}

function documentAt(path: string | undefined) {
  if (path === '/jwks') return { keys }
  if (path !== '/.well-known/openid-configuration') return undefined
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['S256'],
  }
}

async function tokens(form: string) {
  const code = new URLSearchParams(form).get('code') ?? ''
  const { nonce, sub } = JSON.parse(Buffer.from(code, 'base64url').toString()) as Code
  const claims = {
    nonce,
    jti: crypto.randomUUID(),
    email: `${sub}@example.com`,
    email_verified: true,
    name: `User ${sub}`,
    preferred_username: sub,
    groups: ['staff', 'admins'],
  }
  const idToken = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'RS256', kid: 'bench' })
    .setIssuer(issuer)
    .setAudience(testClient.client_id)
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
  return {
    access_token: crypto.randomUUID(),
    refresh_token: crypto.randomUUID(),
    id_token: idToken,
    token_type: 'Bearer',
    expires_in: 3600,
  }
}
