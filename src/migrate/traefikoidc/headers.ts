import type { Draft } from '../draft.ts'
import { textOf } from '../traefik/given-values.ts'
import { inTemplate, isFreeHeader } from '../traefik/header-names.ts'
import { memberOf } from '../traefik/parse-documents.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'
import { roleClaim } from './who-may-enter.ts'

/** Sets the headers that apps get from the middlewares of one client. */
export function placeHeaders(draft: Draft, middlewares: readonly PluginMiddleware[]): void {
  const [first] = middlewares
  if (!first) return
  const identifier = textOf(first.options.get('userIdentifierClaim')) ?? 'email'
  const sent = new Map([
    ['X-Forwarded-User', identifier === 'email' ? 'email' : identifier.replaceAll('.', '\\.')],
    ['X-User-Groups', 'groups'],
    ['X-User-Roles', roleClaim(first.options)],
  ])
  for (const { name, value } of middlewares.flatMap(templatesOf)) {
    const carried = carryHeader(draft, name, value)
    if (carried === undefined) continue
    const known = [...sent.keys()].find((each) => each.toLowerCase() === name.toLowerCase()) ?? name
    if (sent.has(known) && !isDefaultHeader(known) && sent.get(known) !== carried) {
      draft.note(
        'todo',
        `headers: ${name}`,
        'Has another value in each middleware, and an installation has one: the first counts. Let the apps read headers of different names.',
      )
    } else sent.set(known, carried)
  }
  draft.set(
    'IDENTITY_HEADERS',
    [...sent].map(([name, value]) => `${name}=${value}`),
  )
  noteHeaders(draft, identifier)
}

function isDefaultHeader(name: string): boolean {
  return ['X-Forwarded-User', 'X-User-Groups', 'X-User-Roles'].includes(name)
}

function templatesOf({ options }: PluginMiddleware) {
  const list = options.get('headers.name') ?? options.get('headers.value')
  return (Array.isArray(list) ? list : []).map((header) => ({
    name: textOf(memberOf(header, 'name')) ?? '',
    // Documents of the plugin double the braces, which some loaders take for templates of their own.
    value: (textOf(memberOf(header, 'value')) ?? '')
      .replaceAll('{{{{', '{{')
      .replaceAll('}}}}', '}}'),
  }))
}

/** Returns what `IDENTITY_HEADERS` sends in place of a template; `undefined` where a setting or a note takes its place. */
function carryHeader(draft: Draft, name: string, value: string): string | undefined {
  const parts = partsOf(value)
  const option = `headers: ${name}`
  const [only] = parts ?? []
  if (parts === undefined) {
    draft.note(
      'todo',
      option,
      'This template has no counterpart: write one of claims (docs/headers.md), or let the app do without the header.',
    )
    return undefined
  }
  const tokens = parts.flatMap((part) => ('token' in part ? [part.token] : []))
  if (tokens.length > 0) return carryToken(draft, { option, name, value, token: tokens[0] ?? '' })
  if (!isFreeHeader(name)) {
    noteTaken(draft, option, name, parts)
    return undefined
  }
  if (only && 'claim' in only && parts.length === 1) return only.claim
  return `"${parts.map(written).join('')}"`
}

function written(part: Part): string {
  if ('claim' in part) return `{${part.claim}}`
  return 'text' in part ? inTemplate(part.text) : ''
}

type Part = { readonly claim: string } | { readonly token: string } | { readonly text: string }

function partsOf(template: string): readonly Part[] | undefined {
  const parts = [
    ...template.matchAll(/\{\{\s*(?<action>.*?)\s*\}\}|(?<text>(?:(?!\{\{).)+)/gs),
  ].map(({ groups = {} }) =>
    groups['text'] === undefined ? partOf(groups['action'] ?? '') : { text: groups['text'] },
  )
  return parts.every((part) => part !== undefined) && parts.length > 0 ? parts : undefined
}

function partOf(action: string): Part | undefined {
  const [, path] = /^\.Claims\.([\w.]+)$/.exec(action) ?? []
  if (path !== undefined) return { claim: path }
  const [, name] = /^get\s+\.Claims\s+"([!#-z|~]+)"$/.exec(action) ?? []
  if (name !== undefined) return { claim: name.replaceAll('.', '\\.') }
  const [, token] = /^\.(AccessToken|IdToken|IDToken|RefreshToken)$/.exec(action) ?? []
  return token === undefined ? undefined : { token }
}

interface TokenHeader {
  readonly option: string
  readonly name: string
  readonly value: string
  readonly token: string
}

function carryToken(draft: Draft, { option, name, value, token }: TokenHeader): string | undefined {
  const isBearer = /^authorization$/i.test(name) && /^Bearer\s+\{\{[^}]*\}\}$/.test(value.trim())
  if (token === 'RefreshToken') {
    draft.note('dropped', option, 'Refresh tokens are never passed on.')
  } else if (isBearer) {
    draft.set('PASS_AUTHORIZATION', token === 'AccessToken' ? 'access-token' : 'id-token')
    draft.note('carried', option, 'PASS_AUTHORIZATION.')
  } else if (
    token === 'AccessToken' &&
    isFreeHeader(name) &&
    /^\{\{[^}]*\}\}$/.test(value.trim())
  ) {
    draft.set('PASS_ACCESS_TOKEN', true)
    draft.note(
      'carried',
      option,
      'PASS_ACCESS_TOKEN, which also sends X-Auth-Request-Access-Token.',
    )
    return 'access_token'
  } else {
    draft.note(
      'todo',
      option,
      'A token has no such header here: PASS_AUTHORIZATION sends it as Authorization, PASS_ACCESS_TOKEN the access token alone (docs/headers.md).',
    )
  }
  return undefined
}

const OWN: Readonly<Record<string, string>> = {
  'x-auth-request-user': 'sub',
  'x-auth-request-email': 'email',
  'x-auth-request-preferred-username': 'preferred_username',
  'x-auth-request-name': 'name',
  'x-auth-request-groups': 'groups',
}

function noteTaken(draft: Draft, option: string, name: string, parts: readonly Part[]): void {
  const own = OWN[name.toLowerCase()]
  const [only] = parts
  if (own !== undefined && parts.length === 1 && only && 'claim' in only && only.claim === own) {
    draft.note('carried', option, 'Vestibule sends it with this claim.')
  } else if (own !== undefined) {
    draft.note(
      'todo',
      option,
      `Vestibule sends it with ${own}: let the app read another name, from IDENTITY_HEADERS.`,
    )
  } else {
    draft.note(
      'todo',
      option,
      'The name has a meaning of its own and cannot be sent: let the app read another one, from IDENTITY_HEADERS.',
    )
  }
}

function noteHeaders(draft: Draft, identifier: string): void {
  draft.note(
    'carried',
    'X-Forwarded-User',
    `IDENTITY_HEADERS sends ${identifier}, and X-User-Groups and X-User-Roles, whose members are separated by commas as before. A header without a value is empty.`,
  )
  draft.note(
    'differs',
    'X-Auth-Request-User',
    'Has the sub; the plugin sends userIdentifierClaim. X-Auth-Request-Email has the address.',
  )
  draft.note(
    'dropped',
    'X-Auth-Request-Redirect',
    'Is not sent: apps know the address that they are asked for.',
  )
  draft.note(
    'dropped',
    'X-Auth-Request-Token',
    'The ID token is not sent; where an app needs it, PASS_AUTHORIZATION=id-token sends it as Authorization.',
  )
}
