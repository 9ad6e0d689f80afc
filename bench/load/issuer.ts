import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { listenOn } from '../../stand-ins/network/server.ts'

/** Starts an issuer of access tokens: metadata, a key set, and one token by RFC 9068. */
export async function tokenIssuer(audience: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256', use: 'sig' }]
  const server = createServer((request, response) => {
    const isKeySet = request.url === '/jwks'
    const body = isKeySet ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(body))
  })
  const issuer = `http://127.0.0.1:${await listenOn(server)}`
  const token = await new SignJWT({ client_id: 'bench', jti: 'bench', scope: 'items:read' })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('robot')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)
  return {
    issuer,
    token,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}
