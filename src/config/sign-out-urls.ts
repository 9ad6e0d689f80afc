import { END_SESSION_PARAMETERS, placeholdersOf } from '../core/end-session-template.ts'
import { checkInsecureHttp } from './issuer-url.ts'
import type { Settings } from './settings/settings.ts'

/** Checks the pages to which a sign-out may lead, and the provider's own sign-out address. */
export function checkSignOutUrls(settings: Settings, problems: string[]): void {
  for (const uri of settings.POST_LOGOUT_REDIRECT_URIS) {
    if (isPage(uri)) checkScheme(`POST_LOGOUT_REDIRECT_URIS: ${uri}`, uri, settings, problems)
    else {
      problems.push(
        `POST_LOGOUT_REDIRECT_URIS: ${uri} is not an absolute URL such as https://www.example.com/bye`,
      )
    }
  }
  const template = settings.OIDC_END_SESSION_URL
  if (template === undefined) return
  const fault = faultOfTemplate(template)
  if (fault === undefined) checkScheme('OIDC_END_SESSION_URL', template, settings, problems)
  else problems.push(`OIDC_END_SESSION_URL: ${fault}`)
}

function faultOfTemplate(template: string): string | undefined {
  const [address = ''] = template.split('?')
  const known: readonly string[] = END_SESSION_PARAMETERS
  const unknown = placeholdersOf(template).filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    const names = known.map((name) => `{${name}}`).join(' ')
    return `{${unknown[0]}} is none of ${names}`
  }
  if (/[{}]/.test(address))
    return 'has a placeholder before the query: placeholders are allowed only after the ?'
  if (/[{}]/.test(template.replaceAll(/\{[a-z_]+\}/g, ''))) return 'has an unmatched brace'
  return isPage(template)
    ? undefined
    : 'is not a URL such as https://tenant.auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}'
}

function isPage(text: string): boolean {
  const url = URL.parse(text)
  if (!url || !/^https?:\/\/[^*\s\\]+$/i.test(text)) return false
  return url.username === '' && url.password === '' && !text.includes('#')
}

function checkScheme(what: string, text: string, settings: Settings, problems: string[]): void {
  const { protocol, hostname } = new URL(text)
  if (protocol === 'http:') checkInsecureHttp(what, hostname, settings, problems)
}
