/** Placeholders of a template for the provider's sign-out URL (OpenID Connect RP-Initiated Logout 1.0 section 2). */
export const END_SESSION_PARAMETERS = [
  'client_id',
  'post_logout_redirect_uri',
  'id_token_hint',
  'state',
  'logout_hint',
] as const

/** Parameters of a sign-out at the provider; absent and empty ones are not sent. */
export type EndSessionParameters = Readonly<
  Partial<Record<(typeof END_SESSION_PARAMETERS)[number], string>>
>

const PLACEHOLDER = /\{([^{}]*)\}/g

/** Returns the names in braces, known or unknown. */
export function placeholdersOf(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = '']) => name)
}

/** Fills in percent-encoded values and drops each query part that lacks a value. */
export function fillEndSessionTemplate(template: string, parameters: EndSessionParameters): URL {
  // Replaces lone surrogates, which a claim may contain and `encodeURIComponent` refuses.
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
