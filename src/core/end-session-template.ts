/** What a template for the sign-out at the provider may name (OpenID Connect RP-Initiated Logout 1.0 section 2). */
export const END_SESSION_PARAMETERS = [
  'client_id',
  'post_logout_redirect_uri',
  'id_token_hint',
  'state',
  'logout_hint',
] as const

/** Parameters of a sign-out at the provider; one that is not there or empty is not sent. */
export type EndSessionParameters = Readonly<
  Partial<Record<(typeof END_SESSION_PARAMETERS)[number], string>>
>

const PLACEHOLDER = /\{([^{}]*)\}/g

/** The names that a text has in braces, known or not. */
export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = '']) => name)
}

/** Puts percent-encoded values into the query; a part of it that lacks a value is left out. */
export function fillEndSessionTemplate(template: string, parameters: EndSessionParameters): URL {
  // A claim may be any text, halves of characters included, which cannot be encoded.
  const values = new Map(
    Object.entries(parameters).map(([name, value]) => [
      name,
      encodeURIComponent(value.toWellFormed()),
    ]),
  )
  const url = new URL(template)
  const parts = template
    .slice(template.indexOf('?') + 1)
    .split('&')
    .filter((part) => placeholdersOf(part).every((name) => values.get(name)))
    .map((part) => part.replace(PLACEHOLDER, (_, name: string) => values.get(name) as string))
  url.search = template.includes('?') ? parts.join('&') : ''
  return url
}
