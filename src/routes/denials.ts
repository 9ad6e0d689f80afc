import type { IncomingMessage } from 'node:http'
import type { ForwardedRequest } from '../core/forwarded-request.ts'
import type { Identity } from '../core/identity.ts'
import { type RequestClass, showsPage } from '../core/request-class.ts'
import { parseReturnTo, type ReturnToOptions } from '../core/return-to.ts'
import type { Session } from '../core/session.ts'
import type { Addresses } from './addresses.ts'
import { json, redirect, settingCookies } from './answers.ts'
import type { Cookies } from './cookies.ts'
import { requestIdOf } from './node-env.ts'
import { notAllowedPage, resetCookiesPage } from './pages/pages.ts'
import type { PageWriter } from './pages/write.ts'

/** The answers of the check to people and programs that may not pass. */
export interface Denials {
  signIn(request: ForwardedRequest, requestClass: RequestClass, raw: IncomingMessage): Response
  forbidden(
    request: ForwardedRequest,
    requestClass: RequestClass,
    raw: IncomingMessage,
    session: Session | undefined,
  ): Response | Promise<Response>
  resetCookies(
    request: ForwardedRequest,
    requestClass: RequestClass,
    raw: IncomingMessage,
  ): Response | Promise<Response>
}

export interface DenialOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly returnTo: ReturnToOptions
  readonly writePage: PageWriter
}

export function createDenials({ addresses, cookies, returnTo, writePage }: DenialOptions): Denials {
  const targetOf = (request: ForwardedRequest) =>
    parseReturnTo(request.url, request.site, returnTo) ?? `${request.site.origin}/`

  /** A form or a script cannot be sent back to where it was; the page it came from can be opened again. */
  const pageOf = ({ site }: ForwardedRequest, raw: IncomingMessage) => {
    const referer = raw.headers.referer
    const isOwn = referer?.startsWith(`${site.origin}/`) === true
    return (isOwn && parseReturnTo(referer, site, returnTo)) || `${site.origin}/`
  }

  const unauthenticated = (request: ForwardedRequest, raw: IncomingMessage) =>
    json(
      401,
      { error: 'login_required', login_url: addresses.login(request.site, pageOf(request, raw)) },
      requestIdOf(raw),
      [['WWW-Authenticate', `Bearer realm="${request.site.host}"`]],
    )

  return {
    signIn(request, requestClass, raw) {
      if (requestClass === 'navigation') {
        return redirect(302, addresses.login(request.site, targetOf(request)))
      }
      if (requestClass === 'form-navigation') {
        return redirect(303, addresses.login(request.site, pageOf(request, raw)))
      }
      return unauthenticated(request, raw)
    },

    forbidden(request, requestClass, raw, session) {
      const requestId = requestIdOf(raw)
      if (!showsPage(requestClass)) return json(403, { error: 'forbidden' }, requestId)
      const name = session && displayName(session.identity)
      const switchUser = addresses.login(request.site, targetOf(request), { prompt: 'login' })
      return writePage(403, notAllowedPage(name, switchUser), requestId)
    },

    resetCookies(request, requestClass, raw) {
      if (!showsPage(requestClass)) return unauthenticated(request, raw)
      const expired = settingCookies(...cookies.clearSession(request.site))
      const page = resetCookiesPage(addresses.login(request.site, targetOf(request)))
      return writePage(400, page, requestIdOf(raw), expired)
    },
  }
}

/** Traefik answers an empty 401 for a page above its `maxResponseBodySize`. */
const MAX_NAME_LENGTH = 200

function displayName({ email, preferredUsername, name, subject }: Identity): string {
  return (email ?? preferredUsername ?? name ?? subject).slice(0, MAX_NAME_LENGTH)
}
