import type { Installation } from './installation.ts'
import { readOauth2Proxy } from './oauth2-proxy/oauth2-proxy.ts'
import type { OldConfiguration } from './old-configuration.ts'
import { readTraefikForwardAuth } from './traefik-forward-auth/traefik-forward-auth.ts'
import { readTraefikoidc } from './traefikoidc/traefikoidc.ts'

/** Reads the configuration of another service. Throws `MigrationError` where it cannot be used. */
export type ReadOld = (old: OldConfiguration) => readonly Installation[]

/** Services from which people may move, by the name that the command takes. */
export const SOURCES: Readonly<Record<string, ReadOld>> = {
  'oauth2-proxy': readOauth2Proxy,
  'traefik-forward-auth': readTraefikForwardAuth,
  traefikoidc: readTraefikoidc,
}
