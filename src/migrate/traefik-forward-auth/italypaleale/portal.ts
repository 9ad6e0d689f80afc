import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import { createDraft, type Draft } from '../../draft.ts'
import type { Installation, Note } from '../../installation.ts'
import type { OldConfiguration } from '../../old-configuration.ts'
import { textOf } from '../../traefik/given-values.ts'
import { inTemplate, isFreeHeader } from '../../traefik/header-names.ts'
import { memberOf } from '../../traefik/parse-documents.ts'
import { placeSites, type Sites } from '../../traefik/sites.ts'
import { type PortalMiddleware, placeConditions } from './middlewares.ts'
import { idClaimOf, type OldProvider, placeProvider } from './provider.ts'

/** Portal of version 4, or the whole of version 3, which has one. */
export interface OldPortal {
  readonly name: string
  readonly provider: OldProvider
  /** `undefined` where it has the default headers. */
  readonly headers: readonly unknown[] | undefined
  readonly sessionSeconds: number
  readonly logLevel: string
  readonly callbackPath: string
  /** Lists of version 3, all of which are demanded. */
  readonly allowed: ConditionSource | undefined
  readonly middlewares: readonly PortalMiddleware[]
  readonly hasUnknownConditions: boolean
  readonly notes: readonly Note[]
}

/** Makes the installation of a portal on the hosts of one domain. */
export function installationOf(
  old: OldConfiguration,
  portal: OldPortal,
  sites: Sites,
): Installation {
  const draft = createDraft(sites.name)
  for (const { kind, option, text } of portal.notes) draft.note(kind, option, text)
  if (sites.name !== '') separate(draft, sites.name)
  placeProvider(draft, old, portal.provider)
  placeSites(draft, sites, portal.callbackPath)
  draft.set('SESSION_MAX_AGE', portal.sessionSeconds)
  draft.set('LOG_LEVEL', portal.logLevel)
  placeHeaders(draft, portal)
  noteDifferences(draft)
  const policies = portal.allowed
    ? allowOnly(draft, portal.allowed)
    : placeConditions(draft, portal.middlewares, {
        provider: portal.provider,
        name: sites.name,
        isUnknown: portal.hasUnknownConditions,
      })
  if (Object.keys(policies).length > 0 || usesGroups(draft)) {
    draft.set('OIDC_GROUPS_SEPARATOR', 'space')
  }
  return { ...draft.finish(), policies }
}

function allowOnly(
  draft: Draft,
  allow: ConditionSource,
): Readonly<Record<string, ConditionSource>> {
  draft.addRule({
    name: 'allowed',
    access: 'signed-in',
    ...(Object.keys(allow).length > 0 && { allow }),
  })
  return {}
}

function usesGroups(draft: Draft): boolean {
  return String(draft.valueOf('IDENTITY_HEADERS') ?? '').includes('=groups')
}

/** Installations that may share hosts have cookies and paths of their own. */
function separate(draft: Draft, name: string): void {
  draft.set('COOKIE_NAME', `vestibule-${name}`)
  draft.set('BASE_PATH', `/oauth2-${name}`)
  draft.note(
    'differs',
    'installations',
    `There are several, because one has one provider and one domain. Each is a process with its own ports, Traefik objects, cookie and BASE_PATH (/oauth2-${name} here).`,
  )
}

const DEFAULT_HEADERS = [
  { name: 'X-Forwarded-User', claim: 'id' },
  { name: 'X-Forwarded-Displayname', claim: 'name' },
  { name: 'X-Authenticated-User', property: 'user' },
]

function placeHeaders(draft: Draft, { headers, name, provider }: OldPortal): void {
  const sent = (headers ?? DEFAULT_HEADERS).flatMap((header) => {
    const text = (member: string) => textOf(memberOf(header, member)) ?? ''
    const called = text('name')
    if (!isFreeHeader(called) || text('property') === 'user') {
      draft.note('dropped', called, `Vestibule does not send it: ${instead(called)}`)
      return []
    }
    if (text('property') !== '') {
      const fixed =
        text('property') === 'portal.name'
          ? name
          : (textOf(memberOf(provider.options, 'name')) ?? provider.type)
      return [`${called}="${inTemplate(fixed)}"`]
    }
    return [`${called}=${claimOf(draft, called, text('claim'), provider)}`]
  })
  if (sent.length > 0) draft.set('IDENTITY_HEADERS', sent)
}

function instead(header: string): string {
  if (/^x-forwarded-displayname$/i.test(header)) return 'let the app read X-Auth-Request-Name.'
  if (/^x-authenticated-user$/i.test(header))
    return 'it has JSON with provider, portal and user; let the app read X-Auth-Request-User.'
  return 'let the app read another name, from IDENTITY_HEADERS.'
}

function claimOf(draft: Draft, header: string, claim: string, provider: OldProvider): string {
  if (claim === 'groups' || claim === 'roles') {
    draft.note('differs', header, 'The members of a list are separated by commas, there by blanks.')
  }
  if (claim === 'id' || claim === 'sub') {
    const id = idClaimOf(provider)
    draft.note(
      'carried',
      header,
      `IDENTITY_HEADERS sends ${id}, the id that the old service sends.`,
    )
    return id
  }
  return claim
}

function noteDifferences(draft: Draft): void {
  draft.note(
    'differs',
    '401',
    'Who is signed in and may not enter gets 403, and scripts without a session get 401.',
  )
  draft.note(
    'differs',
    'sessions',
    'Sessions are in memory or Redis and not in the cookie: set REDIS_ENABLED and REDIS_ADDRESS so that a restart keeps them.',
  )
}
