import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

export const FOLDER = 'deploy/docker'

/** The five values of `example.env` as people fill them in. */
export const filledIn = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  OIDC_CLIENT_SECRET: 'a client secret with $ and % in it',
  ALLOWED_EMAIL_DOMAINS: 'example.com',
} as const

interface Service
  extends Partial<
    Record<'command' | 'entrypoint' | 'volumes' | 'ports' | 'networks' | 'configs', string[]>
  > {
  readonly image?: string
  readonly env_file?: string
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

export type Services = Readonly<Record<string, Service>>

interface Project {
  readonly services: Services
  readonly configs: Readonly<Record<string, { readonly content: string }>>
}

/** Reads files of the folder as Compose would: variables are put in, and later files add services. */
export function shortCompose(files: readonly string[]): Project {
  const read = files.map((name) => {
    const text = readFileSync(`${FOLDER}/${name}`, 'utf8')
    return parse(text.replaceAll('${PROTECTED_HOSTS:?}', filledIn.PROTECTED_HOSTS), {
      merge: true,
    }) as Partial<Project>
  })
  return {
    services: Object.assign({}, ...read.map(({ services = {} }) => services)) as Services,
    configs: Object.assign({}, ...read.map(({ configs = {} }) => configs)) as Project['configs'],
  }
}

export function serviceOf(services: Services, name: string): Service {
  const found = services[name]
  if (!found) throw new Error(`there is no service ${name}`)
  return found
}
