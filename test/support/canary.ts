import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import {
  type ScriptedServer,
  startScriptedServer,
} from '../../stand-ins/network/scripted-server.ts'

export interface Canary {
  readonly url: string
  readonly port: string
}

/** Starts the server for the tests of one file; it answers with this JSON, and a test during which anybody asks it fails. */
export function useCanary(body: (url: string) => unknown): Canary {
  let server: ScriptedServer
  beforeAll(async () => {
    server = await startScriptedServer()
  })
  beforeEach(() =>
    server.script({
      headers: ['Content-Type', 'application/json'],
      body: JSON.stringify(body(server.url)),
    }),
  )
  afterEach(() => expect(server.seen, 'the service asks the attacker').toEqual([]))
  afterAll(() => server.close())
  return {
    get url() {
      return server.url
    },
    get port() {
      return new URL(server.url).port
    },
  }
}

const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })

export const attackersJwk = {
  ...(await exportJWK(publicKey)),
  kid: 'attacker',
  alg: 'RS256',
  use: 'sig',
}

export function forgeToken(
  claims: JWTPayload,
  header: Readonly<Record<string, unknown>>,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', ...header }).sign(privateKey)
}
